// From a picture's RGBA pixels to the model's own size: Pillow's modes and Pillow's resize (its Resample.c), to the bit.
const KERNELS = {
  box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  bicubic: [2, (x) => {
    const a = -0.5;
    x = Math.abs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
  }],
  lanczos: [3, (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0)],
};
const BITS = 22; // of the fraction in Pillow's whole-number weights

function sinc(x) { return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x); }

function weightsOf(size, from, to, wanted, name) { // per output pixel [first input pixel, whole-number weights]
  const [reach, kernel] = KERNELS[name];
  const scale = Math.fround(to - from) / wanted, wide = Math.max(scale, 1), support = reach * wide;
  const made = [];
  for (let i = 0; i < wanted; i++) {
    const centre = from + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5)), end = Math.min(size, Math.trunc(centre + support + 0.5));
    const weights = [];
    let sum = 0;
    for (let x = first; x < end; x++) { weights.push(kernel((x - centre + 0.5) * (1 / wide))); sum += weights[weights.length - 1]; }
    made.push([first, Int32Array.from(weights, (w) => {
      const k = (sum !== 0 ? w / sum : w) * (1 << BITS);
      return Math.trunc(k < 0 ? k - 0.5 : k + 0.5);
    })]);
  }
  return made;
}

function clip8(sum) { return Math.max(0, Math.min(255, sum >> BITS)); }

function across(p, width, name, from, to) { // one pass along the rows
  if (p.width === width && from === 0 && to === p.width) return p;
  const weights = weightsOf(p.width, from, to, width, name), c = p.channels, data = new Uint8Array(p.height * width * c);
  for (let y = 0; y < p.height; y++) {
    for (let x = 0; x < width; x++) {
      const [first, k] = weights[x];
      for (let ch = 0; ch < c; ch++) {
        let sum = 1 << (BITS - 1), at = (y * p.width + first) * c + ch;
        for (let i = 0; i < k.length; i++, at += c) sum += p.data[at] * k[i];
        data[(y * width + x) * c + ch] = clip8(sum);
      }
    }
  }
  return { ...p, data, width };
}

function down(p, height, name, from, to) { // one pass along the columns
  if (p.height === height && from === 0 && to === p.height) return p;
  const weights = weightsOf(p.height, from, to, height, name), run = p.width * p.channels, data = new Uint8Array(height * run);
  for (let y = 0; y < height; y++) {
    const [first, k] = weights[y];
    for (let x = 0; x < run; x++) {
      let sum = 1 << (BITS - 1), at = first * run + x;
      for (let i = 0; i < k.length; i++, at += run) sum += p.data[at] * k[i];
      data[y * run + x] = clip8(sum);
    }
  }
  return { ...p, data, height };
}

// pixels {data, width, height, channels} → the box [left, top, right, bottom] of them at width × height. Each pass rounds,
// so their order shows: newer Pillows begin with the columns where that saves much (`tallFirst`), older ones never.
function resized(p, width, height, name, tallFirst, box) {
  const [left, top, right, bottom] = (box || [0, 0, p.width, p.height]).map(Math.fround);
  if (tallFirst && p.height - height > 2 * Math.max(0, p.width - width)) {
    return across(down(p, height, name, top, bottom), width, name, left, right);
  }
  return down(across(p, width, name, left, right), height, name, top, bottom);
}

function composited(rgba, background) { // RGBA on an opaque colour, as Pillow's alpha_composite rounds
  const out = new Uint8Array((rgba.length / 4) * 3);
  for (let i = 0, o = 0; i < rgba.length; i += 4, o += 3) {
    const a = rgba[i + 3];
    for (let c = 0; c < 3; c++) {
      if (a === 255) { out[o + c] = rgba[i + c]; continue; }
      const t = rgba[i + c] * a * 128 + background[c] * (255 - a) * 128 + (128 << 7);
      out[o + c] = ((t >> 8) + t) >> 8 >> 7;
    }
  }
  return out;
}

function toGrey(rgb) { // Pillow's luma
  const out = new Uint8Array(rgb.length / 3);
  for (let i = 0, o = 0; i < rgb.length; i += 3, o++) out[o] = (rgb[i] * 19595 + rgb[i + 1] * 38470 + rgb[i + 2] * 7471 + 0x8000) >> 16;
  return out;
}

function halfEven(x) { // as Python rounds
  const r = Math.round(x);
  return r - x === 0.5 && r % 2 ? r - 1 : r;
}

// RGBA {data, width, height} → the pixels that the model looks at, (height, width, channels) in a Uint8Array
function looked(image, looks) {
  const rgb = composited(image.data, looks.background), grey = looks.mode === "L", c = grey ? 1 : 3;
  const p = { data: grey ? toGrey(rgb) : rgb, width: image.width, height: image.height, channels: c };
  const { width, height, interpolation, tall_first: tallFirst } = looks;
  if (p.width === width && p.height === height) return p.data;
  if (looks.fit === "stretch") return resized(p, width, height, interpolation, tallFirst).data;
  const ratios = [width / p.width, height / p.height];
  if (looks.fit === "crop") {
    const scale = Math.max(...ratios), w = Math.min(width / scale, p.width), h = Math.min(height / scale, p.height);
    const left = (p.width - w) / 2, top = (p.height - h) / 2;
    return resized(p, width, height, interpolation, tallFirst, [left, top, left + w, top + h]).data;
  }
  const scale = Math.min(...ratios);
  const w = Math.min(Math.max(1, halfEven(p.width * scale)), width), h = Math.min(Math.max(1, halfEven(p.height * scale)), height);
  const inner = resized(p, w, h, interpolation, tallFirst).data, ground = grey ? toGrey(looks.background) : looks.background;
  const out = Uint8Array.from({ length: width * height * c }, (_, i) => ground[i % c]);
  const left = Math.floor((width - w) / 2), top = Math.floor((height - h) / 2);
  for (let y = 0; y < h; y++) out.set(inner.subarray(y * w * c, (y + 1) * w * c), ((top + y) * width + left) * c);
  return out;
}
