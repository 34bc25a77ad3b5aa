// Who paints: this machine's engine by the page's own server, or the browser itself. Both take the same jobs.

/**
 * @typedef {object} PaintJob
 * @property {string} preset which network: "standard" or "live"
 * @property {Float32Array} vector the style, mixed and weakened
 * @property {Uint8ClampedArray<ArrayBuffer>} pixels RGBA
 * @property {number} width
 * @property {number} height
 * @property {boolean} keepColors
 * @property {number} strokeSize
 * @property {number} noise as `stylenorm.noise` has it: 0 for none
 */
/** @typedef {{format: "png" | "jpeg", name?: string}} FileWish `name`: save it in the server's folder instead */

const BROWSER_PIXELS = 16e6; // that are painted at once: what 1.5 GB of WebAssembly's memory hold

/** Paints in a worker of this page. */
export class BrowserPainter {
  constructor() {
    this.label = "this browser";
    this.isNative = false;
    this.folder = "";
    this.maxMegapixels = 60;
    /** @type {WorkerCalls | undefined} */
    this.calls = undefined;
  }

  /** Which of the browser's ways it is: "webgpu" or "wasm". */
  async about() {
    return /** @type {Promise<string>} */ (this.worker().call("about", null));
  }

  /**
   * @param {PaintJob} job
   * @param {AbortSignal} [signal]
   * @returns {Promise<ImageData>}
   */
  async paint(job, signal) {
    signal?.throwIfAborted();
    const painted = pixelsOf(job) > 2e6 ? await this.paintLarge(job, signal) : await this.worker().call("paint", job);
    signal?.throwIfAborted();
    return new ImageData(/** @type {Uint8ClampedArray<ArrayBuffer>} */ (painted), job.width, job.height);
  }

  /**
   * A large picture has a worker of its own: its memory is given back, and it can be stopped at once.
   * @param {PaintJob} job
   * @param {AbortSignal} [signal]
   */
  async paintLarge(job, signal) {
    if (pixelsOf(job) > BROWSER_PIXELS) {
      throw new Error("Strokes this fine need more memory than a browser has: choose broader ones, or run 'stylenorm studio'.");
    }
    const calls = new WorkerCalls();
    const stop = () => calls.end("stopped");
    signal?.addEventListener("abort", stop);
    try {
      return await calls.call("paint", job);
    } finally {
      signal?.removeEventListener("abort", stop);
      calls.end();
    }
  }

  /**
   * @param {ImageBitmap} bitmap
   * @param {string} preset
   * @returns {Promise<Float32Array>}
   */
  async predict(bitmap, preset) {
    const { to, width, height } = predictorSizes(bitmap.width, bitmap.height);
    const { data } = drawn(bitmap, width, height);
    return /** @type {Promise<Float32Array>} */ (this.worker().call("predict", { pixels: data, width, height, to, preset }));
  }

  worker() {
    this.calls ??= new WorkerCalls();
    return this.calls;
  }
}

/** Paints by the routes of `stylenorm studio`; what browsers do better (predicting is rare) stays in the browser. */
export class NativePainter extends BrowserPainter {
  /** @param {string} token the secret that the terminal's link has */
  constructor(token) {
    super();
    this.token = token;
    this.label = "this machine";
    this.isNative = true;
  }

  async about() {
    const answer = await this.ask("about", []);
    const about = await answer.json();
    this.folder = about.folder;
    this.maxMegapixels = about.maxMegapixels;
    return /** @type {string} */ (about.engine);
  }

  /**
   * @param {PaintJob} job
   * @param {AbortSignal} [signal]
   */
  async paint(job, signal) {
    const { vector, pixels, ...settings } = job;
    const answer = await this.ask("paint", [...packed(settings, vector), pixels], signal);
    return new ImageData(new Uint8ClampedArray(await answer.arrayBuffer()), job.width, job.height);
  }

  /**
   * Paint a file at its full size, as the command line would.
   * @param {Omit<PaintJob, "pixels" | "width" | "height">} job
   * @param {Blob} file
   * @param {FileWish} wish
   * @param {AbortSignal} [signal]
   * @returns {Promise<Blob | string>} the painting, or the name it has in the folder
   */
  async paintFile(job, file, wish, signal) {
    const { vector, ...settings } = job;
    const answer = await this.ask("render", [...packed({ ...settings, ...wish }, vector), file], signal);
    const savedAs = answer.headers.get("X-Saved-As");
    const painting = await answer.blob();
    return savedAs === null ? painting : decodeURIComponent(savedAs);
  }

  /**
   * A picture that the browser cannot read, as one that it can.
   * @param {Blob} file
   */
  async decode(file) {
    return (await this.ask("decode", [file])).blob();
  }

  /**
   * @param {string} route
   * @param {BlobPart[]} parts
   * @param {AbortSignal} [signal]
   */
  async ask(route, parts, signal) {
    const headers = { Authorization: `Bearer ${this.token}`, "Content-Type": "application/octet-stream" };
    let answer;
    try {
      answer = await fetch(`./api/${route}`, { method: "POST", headers, body: new Blob(parts), signal: signal ?? null });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Error("The studio's program has ended: start 'stylenorm studio' again, or reload to paint in the browser.");
    }
    if (!answer.ok) throw new Error(await answer.text());
    return answer;
  }
}

/** Calls of a worker's functions, each answered once. */
class WorkerCalls {
  constructor() {
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.next = 0;
    /** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void}>} */
    this.waiting = new Map();
    this.worker.onmessage = ({ data }) => {
      const call = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error === undefined) call?.resolve(data.result);
      else call?.reject(new Error(data.error));
    };
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.end("This browser cannot run the networks: a newer one can.");
    };
  }

  /**
   * @param {string} kind
   * @param {any} job
   * @returns {Promise<any>}
   */
  call(kind, job) {
    return new Promise((resolve, reject) => {
      const id = this.next++;
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, kind, job });
    });
  }

  /** @param {string} [reason] what those are told who still wait */
  end(reason) {
    this.worker.terminate();
    const error = reason === "stopped" ? new DOMException("stopped", "AbortError") : new Error(reason);
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}

/** @param {PaintJob} job */
function pixelsOf(job) {
  return (job.width * job.height) / job.strokeSize ** 2;
}

/**
 * @param {object} settings
 * @param {Float32Array} vector
 * @returns {BlobPart[]}
 */
function packed(settings, vector) {
  const json = new TextEncoder().encode(JSON.stringify(settings));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, json.length, true);
  return [length, json, vector.slice()];
}

/**
 * The size at which a style is taken: as `stylenorm.models.predictor` has it.
 * @param {number} width
 * @param {number} height
 */
export function predictorSizes(width, height) {
  const scale = 200 / Math.min(width, height);
  const side = (/** @type {number} */ px) => Math.min(1024, Math.max(200, Math.round(px * scale)));
  // larger pictures are halved by the browser first, which Lanczos' filter then does not notice
  const most = Math.min(1, 1600 / Math.min(width, height));
  return {
    to: /** @type {[number, number]} */ ([side(height), side(width)]),
    width: Math.round(width * most),
    height: Math.round(height * most),
  };
}

/**
 * Pixels of a picture in a size.
 * @param {CanvasImageSource} picture
 * @param {number} width
 * @param {number} height
 */
export function drawn(picture, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}
