// Paintings out: one photo at its full size, or many as a zip or into the folder of `stylenorm studio --save-to`.

import { make, say, tell, Work } from "./dom.js";
import { paintingName, styleText } from "./names.js";
import { drawn, NativePainter } from "./painters.js";
import { openPhoto } from "./pictures.js";
import { Zip } from "./zip.js";

const JPEG_QUALITY = 95;

/** @typedef {import("./library.js").Settings} Settings */
/** @typedef {import("./panel.js").Format} Format */

export class Saver {
  /**
   * @param {import("./library.js").Library} library
   * @param {import("./turns.js").Turns} turns
   * @param {import("./painters.js").BrowserPainter} painter
   */
  constructor(library, turns, painter) {
    this.library = library;
    this.turns = turns;
    this.painter = painter;
  }

  /**
   * Paint a photo at its full size and hand it to the browser's downloads.
   * @param {import("./pictures.js").Photo} photo
   * @param {Settings} settings
   * @param {Format} format
   */
  async save(photo, settings, format) {
    const work = new Work("Painting at full size…");
    try {
      const painting = await this.turns.take(true, () => this.paintFull(photo, settings, format, work.signal));
      download(painting, this.nameOf(photo.name, settings, format));
    } catch (error) {
      tell(error);
    } finally {
      work.end();
    }
  }

  /**
   * @param {string} photoName
   * @param {Settings} settings
   * @param {Format} format
   */
  nameOf(photoName, settings, format) {
    return paintingName(photoName, styleText(this.library.named(settings)), format);
  }

  /**
   * @param {import("./pictures.js").Photo} photo
   * @param {Settings} settings
   * @param {Format} format
   * @param {AbortSignal} signal
   * @returns {Promise<Blob>}
   */
  async paintFull(photo, settings, format, signal) {
    const job = this.job(settings);
    if (this.painter instanceof NativePainter) {
      const wish = { format, quality: JPEG_QUALITY };
      return /** @type {Promise<Blob>} */ (this.painter.paintFile(job, photo.file, wish, signal));
    }
    const { width, height } = photo;
    const painted = await this.painter.paint({ ...job, pixels: drawn(photo.bitmap, width, height).data, width, height }, signal);
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d")?.putImageData(painted, 0, 0);
    return canvas.convertToBlob({ type: `image/${format}`, quality: JPEG_QUALITY / 100 });
  }

  /** @param {Settings} settings */
  job(settings) {
    return {
      preset: this.library.presetFor(settings),
      vector: this.library.vector(settings),
      keepColors: settings.keepColors,
      strokeSize: settings.strokeSize,
      noise: this.library.noise(settings),
    };
  }

  /**
   * Paint many photos. What cannot be painted is left out, and said at the end.
   * @param {File[]} files
   * @param {Settings} settings
   * @param {Format} format
   */
  async saveMany(files, settings, format) {
    const work = new Work("", files.length);
    const folder = this.painter.folder;
    const zip = new Zip();
    /** @type {string[]} */
    const failed = [];
    let done = 0;
    try {
      for (const file of files) {
        work.show(`Painting ${file.name}, ${done + failed.length + 1} of ${files.length}`);
        try {
          await this.turns.take(false, () => this.saveOne(file, settings, format, folder ? null : zip, work.signal));
          done++;
        } catch (error) {
          if (work.signal.aborted) break;
          failed.push(error instanceof Error ? error.message : file.name);
        }
        work.step(done + failed.length);
      }
      if (!folder && done) download(zip.toBlob(), `paintings.${styleText(this.library.named(settings)).replace(/[^\w.+-]+/g, "-")}.zip`);
      const stopped = work.signal.aborted ? ", then stopped" : "";
      const where = folder ? ` They are in ${folder}.` : "";
      if (failed.length) tell(`${done} of ${files.length} painted${stopped}.${where} ${failed[0]}${failed.length > 1 ? ` (and ${failed.length - 1} more)` : ""}`);
      else if (folder || stopped) say(`${done} of ${files.length} painted${stopped}.${where}`);
    } catch (error) {
      tell(error);
    } finally {
      work.end();
    }
  }

  /**
   * @param {File} file
   * @param {Settings} settings
   * @param {Format} format
   * @param {Zip | null} zip null saves in the server's folder
   * @param {AbortSignal} signal
   */
  async saveOne(file, settings, format, zip, signal) {
    signal.throwIfAborted();
    const name = this.nameOf(file.name, settings, format);
    if (this.painter instanceof NativePainter) {
      const wish = { format, quality: JPEG_QUALITY, ...(zip ? {} : { name }) };
      const painting = await this.painter.paintFile(this.job(settings), file, wish, signal).catch((error) => {
        throw signal.aborted ? error : new Error(`${file.name}: ${error.message}`);
      });
      if (zip) await zip.add(name, /** @type {Blob} */ (painting));
      return;
    }
    const photo = await openPhoto(file, file.name, this.painter.maxMegapixels, null);
    try {
      await zip?.add(name, await this.paintFull(photo, settings, format, signal));
    } finally {
      photo.bitmap.close();
    }
  }
}

/**
 * @param {Blob} content
 * @param {string} name
 */
function download(content, name) {
  const link = make("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
