// One painting at a time: what is looked at goes before what fills the wall.

/** @typedef {{urgent: boolean, start: () => void}} Waiting */

export class Turns {
  constructor() {
    /** @type {Waiting[]} */
    this.waiting = [];
    this.busy = false;
  }

  /**
   * @template T
   * @param {boolean} urgent
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async take(urgent, work) {
    await new Promise((/** @type {(value: void) => void} */ start) => {
      this.waiting.push({ urgent, start });
      this.next();
    });
    try {
      return await work();
    } finally {
      this.busy = false;
      this.next();
    }
  }

  next() {
    if (this.busy || !this.waiting.length) return;
    const first = Math.max(0, this.waiting.findIndex((each) => each.urgent));
    this.busy = true;
    this.waiting.splice(first, 1)[0].start();
  }
}
