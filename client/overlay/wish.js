// @ts-check
/**
 * A wish on its way from the tap to the socket. The first order of a session is confirmed; a later one is sent by
 * itself a moment after the tap, and may be taken back until then, or sent at once by a second tap.
 *
 * @typedef {import("./card.js").Step} Step
 */

/** How long a later order can be taken back before it is sent. */
export const UNDO_MS = 1_500;
/** A second tap this soon is the first one's echo: under the finger may stand another button by now. */
export const ECHO_MS = 400;
/** How long the card says that nothing was sent. */
const SAID_MS = 5_000;

const WORLD = {
  after: (/** @type {number} */ ms, /** @type {() => void} */ then) => /** @type {any} */ (setTimeout(then, ms)),
  cancel: (/** @type {any} */ timer) => clearTimeout(timer),
};

/** Where the viewer's wish stands. Timers come in through `world`. */
export class Wish {
  /** @type {Step | null} */ step = null;
  /** Whether a tap counts: one that follows at once is the echo of the last. */ ready = true;
  /** @type {any} */ #timer;
  /** @type {any} */ #echo;

  /**
   * @param {object} needs
   * @param {() => void} needs.send the wish is final
   * @param {() => void} needs.changed the step is another one
   * @param {{after: (ms: number, then: () => void) => any, cancel: (timer: any) => void}} [world]
   */
  constructor({ send, changed }, world = WORLD) {
    this.send = send;
    this.changed = changed;
    this.world = world;
  }

  /** Whether the wish waits for a tap or for its time: the card must not turn to another drop. */
  get waits() {
    return this.step === "confirm" || this.step === "undo";
  }

  /** A tap on Buy. @param {boolean} confirmed whether this session has confirmed an order before */
  begin(confirmed) {
    this.#become(confirmed ? "undo" : "confirm");
    if (confirmed) this.#timer = this.world.after(UNDO_MS, () => this.#go());
  }

  /** A tap on Confirm, or on Send now. Says whether it was one, and not the echo of the tap before. */
  affirm() {
    if (!this.waits || !this.ready) return false;
    this.#go();
    return true;
  }

  /** Back or Undo; or the link is lost while the question stands. */
  takeBack() {
    if (this.waits) this.#say(this.step === "undo" ? "undone" : null);
  }

  /** It cannot be bought any more, or not as many: nothing is sent. */
  stop() {
    if (this.waits) this.#say("late");
  }

  /** Another drop is shown: what was said of the last one is over. */
  forget() {
    if (this.step) this.#become(null);
  }

  #go() {
    this.#become(null);
    this.send();
  }

  #listenAgain() {
    this.ready = true;
    this.changed();
  }

  /** @param {Step | null} step */
  #say(step) {
    this.#become(step);
    if (step) this.#timer = this.world.after(SAID_MS, () => this.#become(null, false));
  }

  /** @param {Step | null} step @param {boolean} [tapped] whether a tap may have led here, which may have an echo */
  #become(step, tapped = true) {
    this.world.cancel(this.#timer);
    this.world.cancel(this.#echo);
    this.step = step;
    this.ready = !tapped;
    if (tapped) this.#echo = this.world.after(ECHO_MS, () => this.#listenAgain());
    this.changed();
  }
}
