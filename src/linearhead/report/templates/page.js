"use strict";
// Text from the record is only ever moved as text or as cloned nodes: nothing here parses markup.
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, text = "", parent = null) => {
    const node = document.createElement(tag);
    node.textContent = text;
    if (parent) parent.append(node);
    return node;
  };

  // Small scans keep their pixels instead of being blurred.
  const sharpen = (image) => image.classList.toggle("tiny", image.naturalWidth > 0 && image.naturalWidth <= 48);
  for (const image of $$(".picture img")) {
    if (image.complete) sharpen(image);
    else image.addEventListener("load", () => sharpen(image), { once: true });
  }

  // ---- the viewer: a title, the pictures behind it, one of them large
  const viewer = $("#viewer");
  let shown = [], at = 0, opener = null;

  function choose(index) {
    at = Math.max(0, Math.min(shown.length - 1, index));
    const source = $("img", shown[at]), picture = $("#viewer-picture");
    picture.src = source.src;
    picture.alt = source.alt;
    sharpen(picture);
    const regions = $(".regions", shown[at]), over = $("#viewer-regions");
    over.hidden = !regions || $("#viewer-toggle").getAttribute("aria-pressed") !== "true";
    if (regions) over.src = regions.src;
    $("#viewer-key").hidden = !regions;
    fitOver();
    $("#viewer-caption").replaceChildren(...[...$("figcaption", shown[at]).cloneNode(true).childNodes]);
    $("#viewer-previous").disabled = at === 0;
    $("#viewer-next").disabled = at === shown.length - 1;
    $$("#viewer-strip button").forEach((button, i) => {
      if (i === at) { button.setAttribute("aria-current", "true"); button.scrollIntoView({ block: "nearest", inline: "nearest" }); }
      else button.removeAttribute("aria-current");
    });
  }

  // the overlay lies exactly on the picture, which is fitted into its frame
  function fitOver() {
    const picture = $("#viewer-picture"), over = $("#viewer-regions"), frame = picture.getBoundingClientRect();
    if (!picture.naturalWidth || !frame.width) return;
    const scale = Math.min(frame.width / picture.naturalWidth, frame.height / picture.naturalHeight);
    over.width = Math.round(picture.naturalWidth * scale);
    over.height = Math.round(picture.naturalHeight * scale);
  }
  $("#viewer-picture").addEventListener("load", fitOver);
  $("#viewer-toggle").addEventListener("click", () => {
    const on = $("#viewer-toggle").getAttribute("aria-pressed") !== "true";
    $("#viewer-toggle").setAttribute("aria-pressed", String(on));
    $("#viewer-toggle").textContent = on ? "Hide the regions" : "Show the regions that spoke";
    choose(at);
  });

  function open(title, note, figures, from, start = 0) {
    shown = figures;
    opener = from;
    $("#viewer-title").textContent = title;
    $("#viewer-note").textContent = note;
    viewer.classList.toggle("empty", figures.length === 0);
    viewer.classList.toggle("single", figures.length === 1);
    $("#viewer-strip").replaceChildren(...figures.map((figure, i) => {
      const button = make("button"), image = $("img", figure).cloneNode();
      button.type = "button";
      button.setAttribute("aria-label", `Picture ${i + 1} of ${figures.length}`);
      button.append(image);
      button.addEventListener("click", () => choose(i));
      return button;
    }));
    viewer.showModal();
    if (figures.length) choose(start);
    $("#viewer-close").focus();
  }

  $("#viewer-close").addEventListener("click", () => viewer.close());
  $("#viewer-previous").addEventListener("click", () => choose(at - 1));
  $("#viewer-next").addEventListener("click", () => choose(at + 1));
  viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
  viewer.addEventListener("close", () => { if (opener) opener.focus(); opener = null; });
  viewer.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: shown.length - 1 }[event.key];
    if (to === undefined || !shown.length) return;
    event.preventDefault();
    choose(to);
  });

  function opens(button) {
    button.addEventListener("click", () => {
      const gallery = $$(".picture", button.closest(".gallery"));
      const title = button.closest(".gallery").dataset.title || (button.closest(".small") ? "Pictures from the confusion matrix" : "Most wrong");
      open(title, `${gallery.length} on this page`, gallery, button, gallery.indexOf(button.closest(".picture")));
    });
  }
  for (const button of $$(".picture .open")) opens(button);

  // ---- the confusion matrix
  const table = $(".confusion");
  const behind = new Map();
  for (const figure of $$(".picture")) {
    const cell = figure.dataset.cell;
    if (!cell) continue; // a training picture: not among those that the matrix counts
    if (!behind.has(cell)) behind.set(cell, []);
    behind.get(cell).push(figure);
  }
  const grouped = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const whole = (node) => parseInt(node.textContent.replace(/\s/g, ""), 10); // without the spaces between digits
  const many = (n) => (n === 1 ? "1 picture" : `${grouped(n)} pictures`);

  function openCell(button, names, count) {
    const figures = behind.get(`${button.dataset.r},${button.dataset.c}`) || [];
    const title = button.dataset.r === button.dataset.c ? `${names[0]}, called so` : `${names[0]}, called ${names[1]}`;
    const note = figures.length === count ? many(count) : `${many(count)}; this page shows ${figures.length || "none"} of them`;
    open(title, note, figures, button);
  }

  for (const button of $$(".pair")) {
    const names = $$("bdi", button).map((node) => node.textContent);
    const count = whole($(".count", button));
    button.addEventListener("click", () => openCell(button, names, count));
  }

  if (table) {
    const heads = new Map($$("thead th", table).map((th) => [th.dataset.c, th]));
    const rows = $$("tbody tr", table);
    const buttons = $$("tbody button", table);
    const sideOf = (button) => button.closest("tr").firstElementChild;
    const names = (button) => [sideOf(button).textContent, heads.get(button.dataset.c).textContent];
    const describe = (button) => {
      if (button.hasAttribute("aria-label")) return;
      const [is, called] = names(button), of = sideOf(button).dataset.n;
      const verdict = button.dataset.r === button.dataset.c ? `${is}, called so` : `${is}, called ${called}`;
      button.setAttribute("aria-label", `${verdict}: ${button.textContent} of ${of}`);
      button.title = button.getAttribute("aria-label");
    };
    const light = (button, on) => {
      sideOf(button).classList.toggle("lit", on);
      heads.get(button.dataset.c).classList.toggle("lit", on);
    };
    if (buttons.length) buttons[0].tabIndex = 0; // one stop for Tab; the arrows do the rest
    let stop = buttons[0];
    table.addEventListener("focusin", (event) => {
      const button = event.target.closest("td button");
      if (!button) return;
      stop.tabIndex = -1;
      (stop = button).tabIndex = 0;
      describe(button);
      light(button, true);
    });
    table.addEventListener("focusout", (event) => { if (event.target.closest("td button")) light(event.target, false); });
    table.addEventListener("pointerover", (event) => {
      const button = event.target.closest("td button");
      if (button) { describe(button); light(button, true); }
    });
    table.addEventListener("pointerout", (event) => {
      const button = event.target.closest("td button");
      if (button && button !== document.activeElement) light(button, false);
    });
    table.addEventListener("click", (event) => {
      const button = event.target.closest("td button");
      if (button) openCell(button, names(button), whole(button));
    });
    const column = (button) => Number(button.dataset.c);
    const next = (button, down, right) => {
      const row = button.closest("tr"), line = $$("button", row);
      if (right) return line[line.indexOf(button) + right];
      let r = rows.indexOf(row) + down;
      while (rows[r] && !$("button", rows[r])) r += down; // a class without pictures
      const far = (other) => Math.abs(column(other) - column(button));
      return rows[r] && $$("button", rows[r]).reduce((a, b) => (far(b) < far(a) ? b : a));
    };
    table.addEventListener("keydown", (event) => {
      const button = event.target.closest("td button");
      const step = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key];
      const inRow = button && { Home: "at", End: "last" }[event.key];
      if (!button || (!step && !inRow)) return;
      event.preventDefault();
      const line = $$("button", button.closest("tr"));
      const target = step ? next(button, ...step) : inRow === "last" ? line[line.length - 1] : line[0];
      if (target) {
        target.focus({ preventScroll: true });
        target.scrollIntoView({ block: "nearest", inline: "nearest" });
      }
    });
  }

  // ---- a class's page gets its pictures when it is first opened: copies of those on this page
  function fillClass() {
    const page = location.hash.startsWith("#class-") && document.getElementById(location.hash.slice(1));
    if (!page || !page.classList.contains("class-page")) return;
    const of = page.dataset.class, name = $("h3", page).textContent;
    if (!page.dataset.filled) {
      page.dataset.filled = "yes";
      const groups = [[`${name}, called otherwise`, []], [`Called ${name}, but is not`, []], [`Right, the least sure first`, []]];
      for (const [cell, figures] of behind) {
        const [is, called] = cell.split(",");
        if (is === of || called === of) groups[is !== of ? 1 : called !== of ? 0 : 2][1].push(...figures);
      }
      const sure = (figure) => Number(figure.dataset.sure || 0);
      groups[2][1].sort((a, b) => sure(a) - sure(b));
      const weights = $(`[data-weights="${of}"]`);
      if (weights) $("header", page).after(Object.assign(weights.cloneNode(true), { className: "own-weights" }));
      for (const [title, figures] of groups) {
        if (!figures.length) continue;
        make("h4", title, page);
        const gallery = make("div", "", page);
        gallery.className = "gallery small";
        gallery.dataset.title = title;
        for (const figure of figures) {
          const copy = figure.cloneNode(true);
          copy.removeAttribute("id");
          opens($(".open", copy));
          for (const image of $$("img", copy)) sharpen(image);
          gallery.append(copy);
        }
      }
      if (!groups.some(([, figures]) => figures.length)) make("p", "This page holds no pictures of this class.", page).className = "quiet";
    }
    page.focus({ preventScroll: true });
    page.scrollIntoView({ block: "start" });
  }
  addEventListener("hashchange", fillClass);
  fillClass();

  // ---- the class table sorts by its columns
  const classes = $("#classes-table");
  if (classes) {
    const value = (row, column) => {
      const cell = row.cells[column];
      return column === 0 ? cell.textContent : Number(cell.dataset.v);
    };
    const order = new Intl.Collator(undefined, { numeric: true }).compare;
    $$("thead th", classes).forEach((th, column) => {
      const button = make("button", th.textContent);
      button.type = "button";
      th.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = th.getAttribute("aria-sort") !== "ascending";
        for (const other of $$("thead th", classes)) other.removeAttribute("aria-sort");
        th.setAttribute("aria-sort", up ? "ascending" : "descending");
        const compare = column === 0 ? (a, b) => order(value(a, 0), value(b, 0)) : (a, b) => value(a, column) - value(b, column);
        const body = classes.tBodies[0];
        body.append(...[...body.rows].sort((a, b) => (up ? compare(a, b) : compare(b, a))));
      });
    });
  }

  // ---- charts say their values under the pointer
  const SVG = "http://www.w3.org/2000/svg";
  for (const chart of $$(".chart")) {
    const series = $$(".lh-series", chart).map((g) => ({ label: g.dataset.label, points: JSON.parse(g.dataset.points) }));
    if (!series.length) continue;
    const svg = $("svg", chart), [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    const guide = document.createElementNS(SVG, "line");
    guide.setAttribute("class", "guide");
    const tip = make("div", "", chart);
    tip.className = "tip";
    tip.hidden = true;
    const xs = series.flatMap((one) => one.points.map((p) => p[0]));
    const place = (event) => {
      const box = svg.getBoundingClientRect(), scale = width / box.width;
      const wanted = (event.clientX - box.left) * scale;
      const x = xs.reduce((a, b) => (Math.abs(b - wanted) < Math.abs(a - wanted) ? b : a));
      const near = series.map((one) => [one.label, one.points.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a))]);
      const hits = near.filter(([, p]) => Math.abs(p[0] - x) < 6).sort((a, b) => a[1][1] - b[1][1]);
      for (const [name, v] of [["x1", x], ["x2", x], ["y1", 30], ["y2", height - 40]]) guide.setAttribute(name, v);
      svg.append(guide);
      tip.replaceChildren(make("b", `at ${hits[0][1][2]}`));
      for (const [label, p] of hits) {
        const line = make("div", "", tip);
        make("span", label, line);
        make("span", p[3], line);
      }
      tip.hidden = false;
      const left = x / scale;
      tip.style.left = `${left > box.width / 2 ? Math.max(0, left - tip.offsetWidth - 12) : Math.min(left + 12, box.width - tip.offsetWidth)}px`;
      const high = hits.reduce((sum, [, p]) => sum + p[1], 0) / hits.length < height / 2; // keep off the lines
      tip.style.top = `${box.height * (high ? 0.56 : 0.12)}px`;
    };
    chart.addEventListener("pointermove", place);
    chart.addEventListener("pointerdown", place);
    chart.addEventListener("pointerleave", () => { tip.hidden = true; guide.remove(); });
  }

  // ---- copy, where the browser lets a page
  const copier = (id, text) => {
    const button = $(id);
    if (!button || !navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const said = button.textContent;
      try { await navigator.clipboard.writeText(text()); button.textContent = "Copied"; } catch { button.textContent = "Not allowed here"; }
      setTimeout(() => { button.textContent = said; }, 1500);
    });
  };
  copier("#copy", () => $("#command").textContent);
  copier("#copy-numbers", () => $("#numbers").textContent);

  // ---- paper has no buttons: everything folded is unfolded while printing
  const folded = [];
  addEventListener("beforeprint", () => { for (const d of $$("details:not([open])")) { d.open = true; folded.push(d); } });
  addEventListener("afterprint", () => { while (folded.length) folded.pop().open = false; });
})();
