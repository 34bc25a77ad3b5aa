// Runs networks away from the page, so that it never freezes: onnxruntime-web on WebGPU or WebAssembly.

import { keepLuminance } from "./colors.js";
import { withNoise } from "./noise.js";
import { toPixels, toPlanes } from "./planes.js";
import { carryDetail, resize, shrunkSize } from "./strokes.js";
import { photoGate } from "./styles.js";

const RUNTIME = new URL("../runtime/", import.meta.url);
const MOST_THREADS = 8;

/** @typedef {import("./painters.js").PaintJob} PaintJob */

/** @type {Promise<{ort: any, providers: string[]}> | undefined} */
let runtime;
/** @type {Map<string, Promise<any>>} */
const sessions = new Map();

self.onmessage = async (/** @type {MessageEvent} */ event) => {
  const { id, kind, job } = event.data;
  try {
    if (kind === "about") reply(id, (await loaded()).providers[0]);
    else if (kind === "predict") reply(id, await predict(job));
    else {
      const pixels = await paint(job);
      self.postMessage({ id, result: pixels }, { transfer: [pixels.buffer] });
    }
  } catch (error) {
    self.postMessage({ id, error: sentence(error) });
  }
};

/** @type {(id: number, result: unknown) => void} */
function reply(id, result) {
  self.postMessage({ id, result });
}

function loaded() {
  runtime ??= start();
  return runtime;
}

async function start() {
  const providers = (await hasWebGpu()) ? ["webgpu", "wasm"] : ["wasm"];
  if (!("Suspending" in WebAssembly)) {
    // Browsers without promises in WebAssembly: only WebGPU waits inside of it, and they do not use it here.
    const assembly = /** @type {any} */ (WebAssembly);
    assembly.Suspending = /** @type {any} */ (function (/** @type {Function} */ call) { return call; });
    assembly.promising = (/** @type {Function} */ call) => async (/** @type {any[]} */ ...values) => call(...values);
  }
  const path = new URL("ort.jspi.min.mjs", RUNTIME).href;
  const ort = await import(path);
  ort.env.logLevel = "error";
  ort.env.wasm.wasmPaths = {
    mjs: new URL("ort-wasm-simd-threaded.jspi.mjs", RUNTIME).href,
    wasm: new URL("ort-wasm-simd-threaded.jspi.wasm", RUNTIME).href,
  };
  const cores = navigator.hardwareConcurrency || 1;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(cores, MOST_THREADS) : 1;
  return { ort, providers };
}

/** A processor that plays a graphics card is slower than WebAssembly, and is left alone. */
async function hasWebGpu() {
  if (!("Suspending" in WebAssembly)) return false;
  try {
    const adapter = await /** @type {any} */ (navigator).gpu?.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) return false;
    const about = adapter.info ?? {};
    return !(about.isFallbackAdapter || adapter.isFallbackAdapter || /swiftshader|llvmpipe/i.test(`${about.architecture} ${about.description}`));
  } catch {
    return false;
  }
}

/** @param {string} path */
function session(path) {
  let opened = sessions.get(path);
  if (!opened) {
    opened = open(path);
    sessions.set(path, opened);
    opened.catch(() => sessions.delete(path));
  }
  return opened;
}

/** @param {string} path */
async function open(path) {
  const { ort, providers } = await loaded();
  const answer = await fetch(new URL(`../${path}`, import.meta.url)).catch(() => null);
  if (!answer?.ok) throw new Error("A network is not kept on this device yet: go online once, or choose fast detail.");
  const graph = new Uint8Array(await answer.arrayBuffer());
  return ort.InferenceSession.create(graph, { executionProviders: path.includes("predictor") ? ["wasm"] : providers });
}

/**
 * Do something with a network; where the graphics card cannot, the processor does, from then on.
 * @template T
 * @param {string} path
 * @param {(network: any) => Promise<T>} work
 * @returns {Promise<T>}
 */
async function withSession(path, work) {
  try {
    return await work(await session(path));
  } catch (error) {
    const { providers } = await loaded();
    if (providers[0] !== "webgpu") throw error;
    providers.shift();
    sessions.clear();
    return work(await session(path));
  }
}

/**
 * @param {PaintJob} job
 * @returns {Promise<Uint8ClampedArray>}
 */
async function paint({ preset, vector, pixels, width, height, keepColors, strokeSize, noise }) {
  if (photoGate(vector) === 1) return pixels.slice();
  const photo = toPlanes(pixels);
  const amplitude = noise * (1 - photoGate(vector));
  const path = `networks/${preset}/network.onnx`;
  /** @type {import("./strokes.js").Size} */
  const size = [height, width];
  if (strokeSize <= 1) return toPixels(await run(path, photo, size, vector, keepColors, withNoise(photo, size, amplitude, true)), pixels);
  const smallSize = shrunkSize(size, strokeSize);
  const small = resize(photo, size, smallSize);
  small.forEach((value, i) => { small[i] = value < 0 ? 0 : value > 1 ? 1 : value; });
  const painting = await run(path, small, smallSize, vector, keepColors, withNoise(small, smallSize, amplitude, false));
  return toPixels(carryDetail(photo, size, small, painting, smallSize), pixels);
}

/**
 * @param {string} path
 * @param {Float32Array} photo
 * @param {import("./strokes.js").Size} size
 * @param {Float32Array} vector
 * @param {boolean} keepColors
 * @param {Float32Array} noisy the photo as the network sees it
 * @returns {Promise<Float32Array>}
 */
async function run(path, photo, size, vector, keepColors, noisy) {
  const { ort } = await loaded();
  const planes = await withSession(path, async (network) => {
    const { painting } = await network.run({
      photo: new ort.Tensor("float32", noisy, [1, 3, ...size]),
      style: new ort.Tensor("float32", vector, [vector.length]),
    });
    const data = /** @type {Float32Array} */ (await painting.getData()).slice();
    painting.dispose();
    return data;
  });
  if (keepColors) keepLuminance(planes, photo);
  return planes;
}

/**
 * The style of a picture; its shorter side is 200 pixels already, unless it is very long.
 * @param {{pixels: Uint8ClampedArray, width: number, height: number, to: import("./strokes.js").Size, preset: string}} job
 * @returns {Promise<Float32Array>}
 */
async function predict({ pixels, width, height, to, preset }) {
  const predictor = await session(`networks/${preset}/predictor.onnx`);
  const { ort } = await loaded();
  const picture = resize(toPlanes(pixels), [height, width], to);
  picture.forEach((value, i) => { picture[i] = Math.min(255, Math.max(0, Math.round(value * 255))) / 255; });
  const found = await predictor.run({ [predictor.inputNames[0]]: new ort.Tensor("float32", picture, [1, 3, ...to]) });
  const vector = (await found[predictor.outputNames[0]].getData()).slice();
  if (!vector.every(Number.isFinite)) throw new Error("No style could be taken from this picture: try another one.");
  return vector;
}

/** @param {unknown} error */
function sentence(error) {
  const text = error instanceof Error ? error.message : String(error);
  if (/memory|allocat|out of bounds|bad_alloc|RangeError/i.test(text)) {
    return "This browser has too little memory for it: choose broader strokes, or a smaller picture.";
  }
  return text;
}
