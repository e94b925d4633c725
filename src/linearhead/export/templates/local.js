// The head, in this page: features → scores → probabilities. Nothing leaves the browser.
const MODEL = JSON.parse($("model").textContent);

function floats(text) { // base64 of float32
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

const COEF = floats(MODEL.coef), INTERCEPT = floats(MODEL.intercept);
for (const e of MODEL.extractors) for (const name of ["bank", "whitening", "ceiling"]) if (e[name]) e[name] = floats(e[name]);

function features(data) { // Uint8Array (h, w, c) → numbers
  const [height, width, channels] = MODEL.shape, p = { data, height, width, channels };
  const blocks = MODEL.extractors.map((e) => {
    const block = EXTRACT[e.name](p, e);
    return MODEL.extractors.length > 1 ? block.map((v) => v * Math.fround(e.factor)) : block;
  });
  const out = new Float32Array(blocks.reduce((sum, b) => sum + b.length, 0));
  blocks.reduce((at, b) => { out.set(b, at); return at + b.length; }, 0);
  return MODEL.half ? out.map(half) : out;
}

function scores(x) {
  return MODEL.classes.map((_, j) => {
    let s = INTERCEPT[j];
    for (let i = 0, at = j * x.length; i < x.length; i++, at++) s += COEF[at] * x[i];
    return s;
  });
}

function probabilities(s) {
  s = s.map((v) => v / MODEL.temperature);
  if (MODEL.loss === "logistic") s = s.map((v) => Math.min(v, 0) - Math.log1p(Math.exp(-Math.abs(v))));
  else if (MODEL.loss !== "cross_entropy") return null;
  const top = Math.max(...s), e = s.map((v) => Math.exp(v - top)), sum = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / sum);
}

async function decoded(file) { // RGBA as stored: no colour management, upright
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" })
    .catch(() => { throw new Error("This browser cannot decode the file as a picture."); });
  const { width, height } = bitmap;
  if (width * height > MODEL.looks.pixel_limit) throw new Error(`${width} × ${height} pixels are too many.`);
  const canvas = new OffscreenCanvas(width, height), ink = canvas.getContext("2d", { willReadFrequently: true });
  ink.drawImage(bitmap, 0, 0);
  bitmap.close();
  return ink.getImageData(0, 0, width, height);
}

async function classify(file) {
  const s = scores(features(looked(await decoded(file), MODEL.looks)));
  const best = s.indexOf(Math.max(...s)), p = probabilities(s);
  const order = s.map((_, j) => j).sort((a, b) => s[b] - s[a]);
  return { label: MODEL.classes[best], chances: p ? order.map((j) => [MODEL.classes[j], p[j]]) : [] };
}
