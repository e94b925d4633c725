// The extractors as this package has them (features/*.py): pixels of one picture (h, w, c) → its numbers.
const EXTRACT = { pixels, color, hog, patches };

function pixels(p) { return Float32Array.from(p.data, (v) => v / 255); }

// ---- colour histogram ----
function color(p, e) {
  const { data, width, height, channels: c } = p, bins = e.bins, size = bins.reduce((a, b) => a * b, 1), g = e.grid;
  const total = new Float64Array(g * g * size), amount = new Float64Array(g * g), f = Math.fround;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * c, place = Math.floor((y * g) / height) * g + Math.floor((x * g) / width);
      const [r, green, b] = [0, 1, 2].map((i) => f((i < c ? data[at + i] : 0) / 255));
      const both = f(r + green);
      const axes = c === 1 ? [r] : [
        Math.min(1, f(f(both + b) * f(1 / 3))),
        Math.min(1, Math.max(0, f(f(r - green) + 0.5))),
        Math.min(1, Math.max(0, f(f(f(both * 0.5) - b) + 0.5))),
      ];
      amount[place]++;
      let corners = [[0, 1]];
      axes.forEach((value, i) => {
        const position = f(value * (bins[i] - 1)), lower = Math.min(Math.floor(position), bins[i] - 2), share = f(position - lower);
        corners = corners.flatMap(([index, weight]) => [
          [index * bins[i] + lower, f(weight * f(1 - share))],
          [index * bins[i] + lower + 1, f(weight * share)],
        ]);
      });
      for (const [index, weight] of corners) total[place * size + index] += weight;
    }
  }
  return Float32Array.from(total, (v, i) => Math.sqrt(v / amount[Math.floor(i / size)]));
}

// ---- histograms of oriented gradients ----
function hog(p, e) {
  const { data, width, height, channels: c } = p, { cell, orientations: o, block } = e;
  const rows = Math.floor(height / cell), columns = Math.floor(width / cell), histogram = new Float64Array(rows * columns * o);
  for (let y = 0; y < rows * cell; y++) {
    for (let x = 0; x < columns * cell; x++) {
      let best = -1, row = 0, column = 0;
      for (let ch = 0; ch < c; ch++) {
        const at = (y * width + x) * c + ch;
        const gr = y > 0 && y < height - 1 ? data[at + width * c] - data[at - width * c] : 0;
        const gc = x > 0 && x < width - 1 ? data[at + c] - data[at - c] : 0;
        if (gr * gr + gc * gc > best) { best = gr * gr + gc * gc; row = gr; column = gc; }
      }
      const at = (Math.floor(y / cell) * columns + Math.floor(x / cell)) * o;
      histogram[at + orientation(row, column, o)] += Math.sqrt(best);
    }
  }
  for (let i = 0; i < histogram.length; i++) histogram[i] = Math.fround(histogram[i] / cell ** 2);
  const out = [];
  for (let y = 0; y + block <= rows; y++) {
    for (let x = 0; x + block <= columns; x++) {
      const v = [];
      for (let i = 0; i < block; i++) {
        for (let j = 0; j < block; j++) v.push(...histogram.subarray(((y + i) * columns + x + j) * o, ((y + i) * columns + x + j + 1) * o));
      }
      out.push(...unit(unit(v).map((w) => Math.min(w, 0.2))));
    }
  }
  return Float32Array.from(out);
}

function orientation(row, column, o) { // which of o equal parts of 180° the gradient's direction lies in
  let angle = (Math.atan2(row, column) * (180 / Math.PI)) % 180;
  if (angle < 0) angle += 180;
  let bin = 0;
  while (bin < o - 1 && angle >= (180 / o) * (bin + 1)) bin++;
  return bin;
}

function unit(v) {
  const length = Math.sqrt(v.reduce((sum, w) => sum + w * w, 0) + 1e-10);
  return v.map((w) => w / length);
}

// ---- learned patches ----
function patches(p, e) {
  const { patch, stride, filters: m, rows, columns } = e, c = p.channels, K = patch * patch * c, t = e.threshold;
  const x = reduced(p, rows.pixels, columns.pixels), across = columns.pixels, bank = e.bank;
  const places = rows.firsts.length * columns.firsts.length, sums = new Float64Array(places * 2 * m);
  const u = new Float32Array(K), z = new Float32Array(m), v = new Float32Array(K);
  let place = 0;
  for (const top of rows.firsts) {
    for (const left of columns.firsts) {
      const positive = sums.subarray(place * 2 * m, (place * 2 + 1) * m), negative = sums.subarray((place * 2 + 1) * m, (place * 2 + 2) * m);
      for (let i = 0; i < rows.count; i++) {
        for (let j = 0; j < columns.count; j++) {
          const y0 = (top + i) * stride, x0 = (left + j) * stride;
          for (let r = 0; r < patch; r++) {
            const from = ((y0 + r) * across + x0) * c;
            u.set(x.subarray(from, from + patch * c), r * patch * c);
          }
          contrast(u, e.contrast);
          times(u, bank, z);
          if (e.unit) {
            times(u, e.whitening, v);
            const length = Math.sqrt(v.reduce((sum, w) => sum + w * w, e.flat));
            for (let f = 0; f < m; f++) z[f] /= length;
          }
          for (let f = 0; f < m; f++) {
            if (z[f] > t) positive[f] += z[f] - t;
            else if (z[f] < -t) negative[f] -= z[f] + t;
          }
        }
      }
      place++;
    }
  }
  const size = rows.count * columns.count;
  let out = Float32Array.from(sums, (v) => Math.sqrt(v / size));
  if (e.mirror) out = folded(out, rows.firsts.length, columns.firsts.length, m);
  if (e.dtype === "uint8") return out.map((v) => halfEven(Math.min(v * Math.fround(255 / e.ceiling[0]), 255)));
  return out;
}

function times(u, matrix, out) { // [u, 1] · matrix, rows one after the other
  const K = u.length, m = out.length;
  out.set(matrix.subarray(K * m, (K + 1) * m));
  for (let k = 0; k < K; k++) {
    const w = u[k], from = k * m;
    for (let f = 0; f < m; f++) out[f] += w * matrix[from + f];
  }
}

function contrast(u, epsilon) {
  const mean = u.reduce((sum, v) => sum + v, 0) / u.length;
  let variance = 0;
  for (let i = 0; i < u.length; i++) { u[i] -= mean; variance += u[i] * u[i]; }
  const factor = 1 / Math.sqrt(variance / u.length + epsilon);
  for (let i = 0; i < u.length; i++) u[i] *= factor;
}

function reduced(p, height, width) { // averaged down by area, rows first
  const c = p.channels;
  let x = Float32Array.from(p.data, (v) => v / 255);
  if (p.height === height && p.width === width) return x;
  const down = areas(p.height, height), over = areas(p.width, width), run = p.width * c, tall = new Float32Array(height * run);
  down.forEach(([first, weights], y) => weights.forEach((w, i) => {
    for (let k = 0; k < run; k++) tall[y * run + k] += w * x[(first + i) * run + k];
  }));
  x = new Float32Array(height * width * c);
  for (let y = 0; y < height; y++) {
    over.forEach(([first, weights], k) => weights.forEach((w, i) => {
      for (let ch = 0; ch < c; ch++) x[(y * width + k) * c + ch] += w * tall[y * run + (first + i) * c + ch];
    }));
  }
  return x;
}

function areas(source, target) { // per output pixel [first input pixel, the shares of those that it covers]
  return Array.from({ length: target }, (_, i) => {
    const left = i * (source / target), right = (i + 1) * (source / target), first = Math.floor(left), weights = [];
    for (let k = first; k < Math.min(source, Math.ceil(right)); k++) weights.push(Math.min(right, k + 1) - Math.max(left, k));
    const sum = weights.reduce((a, b) => a + b, 0);
    return [first, weights.map((w) => w / sum)];
  });
}

function folded(out, rows, columns, m) { // half of each number and of its mirror image's
  const h = m / 2, made = new Float32Array(out.length / 2);
  let at = 0;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      for (let sign = 0; sign < 2; sign++) {
        const own = ((y * columns + x) * 2 + sign) * m, other = ((y * columns + columns - 1 - x) * 2 + sign) * m + h;
        for (let f = 0; f < h; f++) made[at++] = 0.5 * (out[own + f] + out[other + f]);
      }
    }
  }
  return made;
}

function half(v) { // to the nearest number of 16 bits
  if (v < 2 ** -14) return halfEven(v * 2 ** 24) / 2 ** 24;
  const unit = 2 ** (Math.floor(Math.log2(v)) - 10);
  return halfEven(v / unit) * unit;
}
