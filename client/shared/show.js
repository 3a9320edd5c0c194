// @ts-check
/**
 * One stream as its viewer has it: the link, what is known of the stream, and the viewer's orders. The SDK for pages of
 * one's own; `<dropcast-overlay>` stands on it.
 *
 *     const show = new Show("friday-show", { server: "https://shop.example" });
 *     show.addEventListener("change", () => draw(show.state));
 *     show.addEventListener("receipt", ({ detail }) => console.log(detail.receipt.status));
 *     show.start();
 *     show.orders.place({ drop: "…", variant: "…", quantity: 1 });
 *
 * Events: `change` (anything), `drop` (a drop opened, sold out or closed: `{drop, kind}`), `receipt` (`{receipt, entry}`),
 * `away` (back after a lost link: `{opened, gone}`, how many drops opened or went meanwhile).
 */
import { Link } from "./link.js";
import { ANSWER_WITHIN_MS, Orders } from "./orders.js";
import { applyEvent, applyStock, fromWelcome, withViewers } from "./reduce.js";

/** @typedef {import("./reduce.js").StreamState} StreamState */

/** @type {Record<string, string>} */
const KINDS = { drop_opened: "opened", drop_sold_out: "sold_out", drop_closed: "closed" };

/**
 * How many drops opened, and how many that were open went, between two states.
 * @param {StreamState} before
 * @param {StreamState} after
 */
export function meanwhile(before, after) {
  const was = new Map(before.drops.map(({ id, status }) => [id, status]));
  const now = after.drops.map(({ id, status }) => [was.get(id), status]);
  return {
    opened: now.filter(([then, status]) => status === "open" && then !== "open").length,
    gone: now.filter(([then, status]) => then === "open" && status !== "open").length,
  };
}

/** A stream that is being watched. */
export class Show extends EventTarget {
  /** @type {StreamState | null} null before the first welcome */ state = null;
  /** @type {{id: string, name: string} | null} null: a guest, or not known yet */ viewer = null;
  /** @type {boolean | null} null before the first welcome */ signedIn = null;
  /** @type {number | null} why the link is over */ closeCode = null;

  /**
   * @param {string} stream its slug
   * @param {object} [how]
   * @param {string} [how.server] the shop's origin
   * @param {() => Promise<string | null>} [how.ticket] a fresh ticket for each connection, or null for a guest; without
   *   it the cookie says who watches, which it does only on the shop's own pages
   * @param {import("./orders.js").Storage} [how.storage] where unanswered orders outlive a reload
   */
  constructor(stream, { server = location.origin, ticket, storage = tabStorage() } = {}) {
    super();
    this.stream = stream;
    this.link = new Link(stream, { frame: (frame) => this.#hear(frame), state: (now, code) => this.#turn(now, code) }, {
      server,
      ticket,
    });
    this.orders = new Orders(stream, { send: (frame) => this.link.send(frame), storage, now: () => this.now() });
  }

  /** Connects, and comes back by itself until `stop`. */
  start() {
    this.link.start();
  }

  /** Leaves for good. */
  stop() {
    this.link.stop();
  }

  /** The server's clock, in ms since the epoch. */
  now() {
    return this.link.serverNow();
  }

  /**
   * Buys; a tap while an order of this drop is unanswered changes nothing. The answer comes as a `receipt`.
   * @param {{drop: string, variant: string, quantity: number}} wish
   */
  buy(wish) {
    this.orders.place(wish);
    this.#expectAnswer();
  }

  /** Asks again for an order without a final answer. @param {string} drop */
  retry(drop) {
    this.orders.retry(drop);
    this.#expectAnswer();
  }

  #expectAnswer() {
    this.#tell("change");
    setTimeout(() => {
      if (this.link.state === "live") this.orders.age();
      this.#tell("change");
    }, ANSWER_WITHIN_MS + 100);
  }

  /** @param {any} frame */
  #hear(frame) {
    const before = this.state;
    switch (frame.type) {
      case "welcome":
        this.state = fromWelcome(before, frame);
        this.viewer = frame.viewer;
        this.signedIn = frame.viewer !== null;
        this.orders.welcome(frame.viewer?.id ?? null);
        frame.missed?.forEach((/** @type {any} */ missed) => this.#tellEvent(missed.event));
        if (before) this.#tell("away", meanwhile(before, this.state));
        break;
      case "event":
        if (before) this.state = applyEvent(before, frame);
        this.#tellEvent(frame.event);
        break;
      case "stock":
        if (before) this.state = applyStock(before, frame.stock);
        break;
      case "tick":
        if (before) this.state = withViewers(before, frame.viewers);
        this.orders.age();
        break;
      case "receipt": {
        const entry = this.orders.receive(frame);
        if (entry) this.#tell("receipt", { receipt: frame, entry });
      }
    }
    this.#tell("change", before);
  }

  /** @param {import("./link.js").LinkState} now @param {number | null} code */
  #turn(now, code) {
    if (now === "over") this.closeCode = code;
    this.#tell("change", this.state);
  }

  /** @param {any} event */
  #tellEvent({ kind, drop }) {
    if (drop && KINDS[kind]) this.#tell("drop", { drop, kind: KINDS[kind] });
  }

  /** @param {string} name @param {any} [detail] of a `change`: the state before */
  #tell(name, detail = null) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** What outlives a reload of this tab, where the browser lets us. @returns {import("./orders.js").Storage} */
export function tabStorage() {
  try {
    return sessionStorage;
  } catch {
    return { getItem: () => null, setItem: () => {} };
  }
}
