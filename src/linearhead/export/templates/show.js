// What both pages share: pictures in by drop, paste, choice or camera; one card with bars for each. `classify(file)`
// comes from the script after this one and answers {label, chances: [[class, share], …], notes: [{text, warn}], regions}.
const $ = (id) => document.getElementById(id);
const LONG = 18; // characters of a name that do not fit beside its bar: it stands above
let waiting = Promise.resolve();

function percent(share) { // what is short of 100 % or above 0 % is never rounded to it, as in all that linearhead says
  const shown = Math.min(100 * share, share < 1 ? 99.9 : 100);
  return share > 0 && shown < 0.05 ? "< 0.1 %" : shown.toFixed(1) + " %";
}

function element(kind, text, className) {
  const made = document.createElement(kind);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function named(made, name) { // may break behind _ . / - rather than within a word
  (name.match(/[^_./-]*[_./-]+|[^_./-]+/g) || []).forEach((part, i) => made.append(...(i ? [element("wbr"), part] : [part])));
  return made;
}

function card(file) {
  const item = element("li"), seen = element("div", undefined, "seen"), picture = element("img");
  picture.alt = "";
  picture.src = URL.createObjectURL(file);
  picture.onload = () => URL.revokeObjectURL(picture.src);
  picture.onerror = () => { URL.revokeObjectURL(picture.src); seen.remove(); }; // no empty frame
  seen.append(picture);
  item.append(seen, element("p", file.name || "picture", "name"), element("p", "…", "label"));
  return item;
}

function fill(item, answer) {
  const label = item.querySelector(".label"), chances = answer.chances.slice(0, 5);
  label.textContent = "";
  named(label, answer.label);
  if (chances.length) {
    const wide = chances.some(([name]) => name.length > LONG);
    const bars = element("dl", undefined, wide ? "bars wide" : "bars");
    for (const [name, share] of chances) {
      const meter = element("meter");
      meter.min = 0; meter.max = 1; meter.value = share;
      meter.setAttribute("aria-label", name);
      const bar = element("dd");
      bar.append(meter);
      bars.append(named(element("dt"), name), bar, element("dd", percent(share)));
    }
    item.append(bars);
  }
  for (const note of answer.notes || []) item.append(element("p", note.text, note.warn ? "note warn" : "note quiet"));
  if (answer.regions) regions(item, answer.regions);
}

function regions(item, squares) { // blue spoke for the label, orange against it; drawn only when asked for
  const side = squares.length, canvas = element("canvas"), button = element("button", "Show what spoke for it");
  canvas.width = canvas.height = side;
  canvas.hidden = true;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "The picture's squares: blue spoke for the label, orange against it");
  const peak = Math.max(1e-12, ...squares.flat().map(Math.abs)), ink = canvas.getContext("2d"), drawn = ink.createImageData(side, side);
  squares.flat().forEach((value, i) => {
    drawn.data.set(value > 0 ? [37, 99, 235] : [234, 120, 12], 4 * i);
    drawn.data[4 * i + 3] = Math.round(200 * Math.min(1, Math.abs(value) / peak));
  });
  ink.putImageData(drawn, 0, 0);
  button.type = "button";
  button.setAttribute("aria-pressed", "false");
  button.onclick = () => {
    canvas.hidden = !canvas.hidden;
    button.setAttribute("aria-pressed", String(!canvas.hidden));
    button.textContent = canvas.hidden ? "Show what spoke for it" : "Blue spoke for it, orange against";
  };
  item.querySelector(".seen")?.append(canvas);
  item.append(button);
}

function take(files) {
  const pictures = [...files].filter((file) => !file.type || file.type.startsWith("image/"));
  const others = files.length - pictures.length;
  const left = others ? `${others} ${others === 1 ? "file that is no picture was" : "files that are no pictures were"} left out. ` : "";
  const say = (text) => { $("status").textContent = left + text; };
  if (others) say("");
  const cards = pictures.map(card);
  $("results").prepend(...cards); // the newest first, those chosen together in their order
  $("clear").hidden = !$("results").children.length;
  for (const [i, file] of pictures.entries()) {
    const item = cards[i];
    waiting = waiting.then(async () => {
      say("Looking at " + (file.name || "the picture") + " …");
      try {
        const answer = await classify(file);
        fill(item, answer);
        say((file.name || "picture") + ": " + answer.label);
      } catch (error) {
        const label = error.label || "Cannot be read";
        item.querySelector(".label").textContent = label;
        item.append(element("p", String(error.message || error), "note warn"));
        say((file.name || "picture") + ": " + label);
      }
    });
  }
  return waiting;
}

for (const id of ["files", "camera"]) {
  $(id).addEventListener("change", (event) => { take(event.target.files); event.target.value = ""; });
}
$("clear").addEventListener("click", () => { $("results").replaceChildren(); $("clear").hidden = true; $("status").textContent = ""; });
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
}
document.addEventListener("dragleave", () => $("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  take(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => { if (event.clipboardData.files.length) take(event.clipboardData.files); });
