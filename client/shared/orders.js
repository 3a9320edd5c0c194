// @ts-check
/**
 * The viewer's orders in flight. Each keeps its `ref` from the first tap until it is answered, through
 * reconnects and reloads: the server never buys twice for one.
 *
 * @typedef {{ref: string, viewer: string, drop: string, variant: string, quantity: number, at: number, sentAt: number,
 *   state: "sending" | "retry" | "unknown", reason: string | null}} Entry
 * @typedef {{type: "receipt", ref: string, status: "accepted" | "rejected", order?: string, quantity?: number,
 *   total?: number, currency?: string, reason?: string, retry?: boolean, retry_in_ms?: number}} Receipt
 * @typedef {{receipt: Receipt, at: number, quantity: number}} Outcome
 * @typedef {{getItem: (key: string) => string | null, setItem: (key: string, value: string) => void}} Storage
 */

/** Orders older than this are not sent again without the viewer, who may want something else by now. */
export const RESEND_WITHIN_MS = 120_000;
/** For this long after the tap a busy server is asked again; then the viewer is told, and decides. */
export const AGAIN_WITHIN_MS = 10_000;
/** No answer for this long on a live link: the viewer may try again. */
export const ANSWER_WITHIN_MS = 8_000;

/**
 * What becomes of an order when its receipt comes: null when it is answered for good, else what stays of it.
 * Of those to be tried again only `not_open` is surely not committed: else the choice may not change.
 * @param {Entry} entry
 * @param {Receipt} receipt
 * @returns {Entry | null}
 */
export function afterReceipt(entry, receipt) {
  if (receipt.status === "accepted" || !receipt.retry) return null;
  const state = receipt.reason === "not_open" ? "retry" : "unknown";
  return { ...entry, state, reason: receipt.reason ?? null };
}

/**
 * What to do with an unanswered order when the link is back.
 * @param {Entry} entry
 * @param {string | null} viewer who the server takes us for now
 * @param {number} now
 * @returns {"send" | "ask" | "wait"} again · let the viewer decide · leave it
 */
export function onReturn(entry, viewer, now) {
  if (entry.viewer !== viewer) return "wait";
  if (entry.reason) return "wait"; // the viewer was told, and decides
  return now - entry.at <= RESEND_WITHIN_MS ? "send" : "ask";
}

/**
 * A new `ref`. `randomUUID` exists only on secure pages; a rehearsal over plain HTTP is not one.
 * @returns {string}
 */
export function newRef() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The orders of one stream: at most one in flight per drop. */
export class Orders {
  /** @type {string | null} */ viewer = null;
  /** @type {Entry[]} */ #entries = [];
  /** @type {Record<string, number>} */ #bought = {};
  /** @type {Map<string, Outcome>} */ #outcomes = new Map();

  /**
   * @param {string} stream the slug
   * @param {{send: (frame: any) => boolean, storage: Storage, now?: () => number, ref?: () => string,
   *   after?: (ms: number, then: () => void) => any}} needs
   */
  constructor(stream, { send, storage, now = Date.now, ref = newRef, after = (ms, then) => setTimeout(then, ms) }) {
    this.key = `dropcast.orders.${stream}`;
    this.send = send;
    this.storage = storage;
    this.now = now;
    this.ref = ref;
    this.after = after;
    try {
      const kept = JSON.parse(storage.getItem(this.key) ?? "{}");
      this.#entries = kept.entries ?? [];
      this.#bought = kept.bought ?? {};
    } catch {
      // Blocked, or something else: then orders live as long as the page.
    }
  }

  /** The viewer's open order of this drop. @param {string} drop @returns {Entry | null} */
  of(drop) {
    return this.#entries.find((entry) => entry.drop === drop && entry.viewer === this.viewer) ?? null;
  }

  /** The last answer for this drop. @param {string} drop @returns {Outcome | null} */
  outcome(drop) {
    return this.#outcomes.get(drop) ?? null;
  }

  /** Units of this drop this viewer was given in this tab. @param {string} drop @returns {number} */
  bought(drop) {
    return this.#bought[`${this.viewer} ${drop}`] ?? 0;
  }

  /**
   * Buys. While an order of this drop is unanswered a tap changes nothing.
   * @param {{drop: string, variant: string, quantity: number}} wish
   */
  place({ drop, variant, quantity }) {
    if (!this.viewer) return;
    const open = this.of(drop);
    if (open) {
      if (open.state !== "retry" || (open.variant === variant && open.quantity === quantity)) return this.retry(drop);
      this.#replace(open, null); // surely not bought; another wish is another ref
    }
    this.#outcomes.delete(drop);
    const at = this.now();
    /** @type {Entry} */
    const entry = {
      ref: this.ref(), viewer: this.viewer, drop, variant, quantity, at, sentAt: at, state: "sending", reason: null,
    };
    this.#entries.push(entry);
    this.#send(entry);
  }

  /** Sends an order without a final answer again. @param {string} drop */
  retry(drop) {
    const open = this.of(drop);
    if (!open || open.state === "sending") return;
    this.#outcomes.delete(drop);
    this.#send(this.#replace(open, { ...open, state: "sending", reason: null, at: this.now() }));
  }

  /**
   * The link is live again: sends what is unanswered.
   * @param {string | null} viewer who the server takes us for
   */
  welcome(viewer) {
    this.viewer = viewer;
    for (const entry of [...this.#entries]) {
      const verdict = onReturn(entry, viewer, this.now());
      if (verdict === "send") this.#send(this.#replace(entry, { ...entry, state: "sending" }));
      if (verdict === "ask") this.#replace(entry, { ...entry, state: "unknown" });
    }
  }

  /**
   * A receipt came. One for a ref that is not in flight was heard before.
   * @param {Receipt} receipt
   * @returns {Entry | null} the order it answers; null while that is asked again
   */
  receive(receipt) {
    const entry = this.#entries.find((other) => other.ref === receipt.ref);
    if (!entry) return null;
    if (receipt.retry_in_ms && entry.state === "sending" && this.now() - entry.at < AGAIN_WITHIN_MS) {
      this.after(receipt.retry_in_ms, () => this.of(entry.drop) === entry && this.#send(entry));
      return null;
    }
    if (receipt.status === "accepted") {
      const mine = `${entry.viewer} ${entry.drop}`;
      this.#bought[mine] = (this.#bought[mine] ?? 0) + (receipt.quantity ?? entry.quantity);
    }
    this.#outcomes.set(entry.drop, { receipt, at: this.now(), quantity: entry.quantity });
    this.#replace(entry, afterReceipt(entry, receipt));
    return entry;
  }

  /** Time passed on a live link: the viewer may try again what got no answer. */
  age() {
    for (const entry of [...this.#entries]) {
      if (entry.state === "sending" && entry.viewer === this.viewer && this.now() - entry.sentAt > ANSWER_WITHIN_MS) {
        this.#replace(entry, { ...entry, state: "unknown" });
      }
    }
  }

  /** @param {Entry} entry */
  #send(entry) {
    const { ref, drop, variant, quantity } = entry;
    entry.sentAt = this.now();
    this.#keep(); // before it leaves: a reload must find the ref
    this.send({ type: "order", ref, drop, variant, quantity });
  }

  /** @template {Entry | null} E @param {Entry} old @param {E} next @returns {E} */
  #replace(old, next) {
    this.#entries = this.#entries.flatMap((entry) => (entry !== old ? [entry] : next ? [next] : []));
    this.#keep();
    return next;
  }

  #keep() {
    try {
      this.storage.setItem(this.key, JSON.stringify({ entries: this.#entries, bought: this.#bought }));
    } catch {
      // It costs the memory of a reload, not the order.
    }
  }
}
