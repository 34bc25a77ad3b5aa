// The large picture: the photo under its painting, and the divider between them. While a slider moves it is
// painted as large as can be done in time; once it rests, as large as the screen shows.

import { element, input, tell, the } from "./dom.js";
import { drawn } from "./painters.js";
import { fitted } from "./pictures.js";

const LARGEST_PX = 1280;
const STEPS_PX = [192, 256, 320, 384, 512, 640, 768, 1024, LARGEST_PX];
const MOVING_MS = 100; // that a painting may take while a slider moves
const REST_MS = 220;
const FIRST_GUESS = 4e-4; // milliseconds a pixel, before anything was measured

/** @typedef {import("./library.js").Settings} Settings */
/** @typedef {import("./pictures.js").Photo} Photo */

export class Stage {
  /**
   * @param {import("./library.js").Library} library
   * @param {import("./turns.js").Turns} turns
   */
  constructor(library, turns) {
    this.library = library;
    this.turns = turns;
    this.photoCanvas = the("photo", HTMLCanvasElement);
    this.paintingCanvas = the("painting", HTMLCanvasElement);
    this.frame = element("frame");
    /** @type {Photo | null} */
    this.photo = null;
    /** @type {{settings: Settings, longest: number} | null} */
    this.wanted = null;
    this.painting = false;
    this.rest = 0;
    /** @type {Map<string, number>} */
    this.speeds = new Map();
    /** @type {import("./painters.js").BrowserPainter | null} */
    this.painter = null;
    input("divider").oninput = () => this.split();
  }

  /** @param {Photo} photo */
  show(photo) {
    this.photo = photo;
    const [width, height] = fitted(photo.width, photo.height, LARGEST_PX);
    this.drawPhoto(photo.bitmap, width, height);
    // the painting is clear until there is one
    Object.assign(this.paintingCanvas, { width, height });
    input("divider").value = "0";
    this.split();
  }

  /**
   * @param {CanvasImageSource} picture
   * @param {number} width
   * @param {number} height
   */
  drawPhoto(picture, width, height) {
    document.body.style.setProperty("--aspect", `${width} / ${height}`);
    document.body.style.setProperty("--ratio", String(width / height));
    if (this.photoCanvas.width !== width || this.photoCanvas.height !== height) Object.assign(this.photoCanvas, { width, height });
    this.photoCanvas.getContext("2d")?.drawImage(picture, 0, 0, width, height);
  }

  split() {
    const { value } = input("divider");
    this.frame.style.setProperty("--split", `${value}%`);
    this.frame.dataset.split = value;
    input("divider").setAttribute("aria-valuetext", `${value} % of the photo`);
  }

  /**
   * Paint the photo as large as the screen needs, or while a slider moves, as large as can be done in time.
   * @param {Settings} settings
   * @param {boolean} moving
   */
  want(settings, moving) {
    clearTimeout(this.rest);
    this.wanted = { settings, longest: moving ? this.quickSize(settings) : LARGEST_PX };
    if (moving) this.rest = window.setTimeout(() => this.want(settings, false), REST_MS);
    if (!this.painting) void this.paintWanted();
  }

  /** The newest wish wins; those it overtook are never painted. */
  async paintWanted() {
    this.painting = true;
    try {
      while (this.wanted && this.photo && this.painter) {
        const { settings, longest } = this.wanted;
        this.wanted = null;
        await this.paint(this.photo, settings, longest);
      }
    } catch (error) {
      tell(error);
    } finally {
      this.painting = false;
      element("stage").setAttribute("aria-busy", "false");
    }
  }

  /**
   * @param {Photo} photo
   * @param {Settings} settings
   * @param {number} longest
   */
  async paint(photo, settings, longest) {
    const painter = /** @type {import("./painters.js").BrowserPainter} */ (this.painter);
    element("stage").setAttribute("aria-busy", "true");
    const [width, height] = fitted(photo.width, photo.height, longest);
    const job = {
      preset: this.library.presetFor(settings),
      vector: this.library.vector(settings),
      pixels: drawn(photo.bitmap, width, height).data,
      width,
      height,
      keepColors: settings.keepColors,
      strokeSize: Math.max(1, (settings.strokeSize * width) / photo.width),
      noise: this.library.noise(settings),
    };
    const began = performance.now();
    let took = 0;
    const painted = await this.turns.take(true, async () => {
      const started = performance.now();
      const found = await painter.paint(job);
      took = performance.now() - started;
      return found;
    });
    this.learn(job.preset, took / (width * height));
    if (this.photo !== photo) return;
    if (this.paintingCanvas.width !== width || this.paintingCanvas.height !== height) {
      Object.assign(this.paintingCanvas, { width, height });
    }
    this.paintingCanvas.getContext("2d")?.putImageData(painted, 0, 0);
    this.frame.dataset.painted = String(longest);
    this.frame.dataset.milliseconds = (performance.now() - began).toFixed();
    const finer = settings.strokeSize * LARGEST_PX < Math.max(photo.width, photo.height) * 0.95;
    element("stage-note").textContent = finer ? "The saved painting has finer strokes than this screen shows." : "";
  }

  /**
   * @param {string} preset
   * @param {number} speed milliseconds a pixel; a slow first painting is forgotten at once, a slower machine soon learned
   */
  learn(preset, speed) {
    const known = this.speeds.get(preset);
    this.speeds.set(preset, known === undefined || speed < known ? speed : (known + speed) / 2);
  }

  /** @param {Settings} settings */
  quickSize(settings) {
    if (!this.photo) return LARGEST_PX;
    const { width, height } = this.photo;
    const speed = this.speeds.get(this.library.presetFor(settings)) ?? FIRST_GUESS;
    const fits = STEPS_PX.filter((px) => {
      const [w, h] = fitted(width, height, px);
      return w * h * speed <= MOVING_MS;
    });
    return fits.at(-1) ?? STEPS_PX[0];
  }
}
