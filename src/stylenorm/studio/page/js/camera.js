// The camera, painted as it is seen: each frame is painted when the one before is done, and none waits.

import { the } from "./dom.js";
import { drawn } from "./painters.js";
import { fitted } from "./pictures.js";

const SIZES_PX = [256, 320, 384, 512, 640];
const FRAME_MS = 90;

/** @typedef {import("./library.js").Settings} Settings */

export class Camera {
  /**
   * @param {import("./stage.js").Stage} stage
   * @param {import("./library.js").Library} library
   * @param {import("./turns.js").Turns} turns
   */
  constructor(stage, library, turns) {
    this.stage = stage;
    this.library = library;
    this.turns = turns;
    this.video = the("video", HTMLVideoElement);
    /** @type {MediaStream | null} */
    this.stream = null;
    this.size = 2;
  }

  get isOn() {
    return this.stream !== null;
  }

  /** Ask for the camera; the browser asks people. */
  async start() {
    const wish = { width: { ideal: 1280 }, facingMode: { ideal: "user" } };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: wish, audio: false });
    } catch {
      throw new Error("There is no camera that this page may use: connect one, and allow it in the browser.");
    }
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  /**
   * Paint until the camera ends.
   * @param {() => Settings} current what is chosen now
   * @param {(framesPerSecond: number) => void} onFrame
   */
  async paint(current, onFrame) {
    const { video } = this;
    while (this.stream) {
      const began = performance.now();
      const [width, height] = fitted(video.videoWidth, video.videoHeight, SIZES_PX[this.size]);
      const frame = drawn(video, width, height);
      const settings = { ...current(), preset: /** @type {"live"} */ ("live") };
      const job = {
        preset: this.library.presetFor(settings), // the live network, where it knows the style
        vector: this.library.vector(settings),
        pixels: frame.data, width, height, keepColors: settings.keepColors, strokeSize: 1,
        noise: 0, // it would hold motifs in place while what they are on moves
      };
      const shown = await createImageBitmap(frame);
      const painter = /** @type {import("./painters.js").BrowserPainter} */ (this.stage.painter);
      const painted = await this.turns.take(true, () => painter.paint(job));
      if (!this.stream) return;
      this.stage.drawPhoto(shown, width, height);
      shown.close();
      Object.assign(this.stage.paintingCanvas, { width, height });
      this.stage.paintingCanvas.getContext("2d")?.putImageData(painted, 0, 0);
      const took = performance.now() - began;
      if (took > FRAME_MS && this.size > 0) this.size--;
      else if (took < FRAME_MS / 2.5 && this.size < SIZES_PX.length - 1) this.size++;
      onFrame(1000 / took);
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  }

  /**
   * The frame that is seen now, as a photo.
   * @returns {Promise<File>}
   */
  async shoot() {
    const canvas = new OffscreenCanvas(this.video.videoWidth, this.video.videoHeight);
    canvas.getContext("2d")?.drawImage(this.video, 0, 0);
    return new File([await canvas.convertToBlob({ type: "image/png" })], "camera.png", { type: "image/png" });
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.video.srcObject = null;
  }
}
