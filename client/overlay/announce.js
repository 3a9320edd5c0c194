// @ts-check
/** What a screen reader is told: receipts always, stock only at a few numbers, one thing at a time. */

import { t } from "../shared/texts.js";

const THRESHOLDS = [10, 5, 3, 1, 0];
const PAUSE_MS = 1_500;

/**
 * What to say when stock went from `before` to `after`: only when it crossed 10, 5, 3, 1 or ran out, and then
 * the number it really is.
 * @param {number} before
 * @param {number} after
 * @returns {string | null}
 */
export function stockNews(before, after) {
  const crossed = THRESHOLDS.some((line) => before > line && after <= line);
  if (!crossed) return null;
  return after === 0 ? t("card.sold_out") : t("card.left", { n: after });
}

/**
 * What to say about a drop's stock after a change. That all is gone counts only once the drop is `sold_out`:
 * closing a drop gives its stock back, which is no sale.
 * @typedef {import("../shared/reduce.js").Drop | undefined} Seen
 * @param {Seen} before
 * @param {Seen} after
 * @param {string} variant the one that is chosen
 * @returns {string | null}
 */
export function dropNews(before, after, variant) {
  if (!before || !after || after.status === "closed") return null;
  if (after.status === "sold_out") return before.status === "sold_out" ? null : t("card.sold_out");
  if (after.variants.every(({ left }) => left === 0)) return null;
  const left = (/** @type {NonNullable<Seen>} */ drop) => drop.variants.find(({ id }) => id === variant)?.left ?? 0;
  return stockNews(left(before), left(after));
}

/** The one polite status region of a page. */
export class Announcer {
  /** @type {string | null} */ #stock = null;
  /** @type {string[]} */ #receipts = [];
  #waiting = false;

  /** @param {Element} region */
  constructor(region) {
    this.region = region;
  }

  /** Said for certain, before any stock. @param {string} text */
  receipt(text) {
    this.#receipts.push(text);
    this.#next();
  }

  /** Said if nothing newer comes first. @param {string} text */
  stock(text) {
    this.#stock = text;
    this.#next();
  }

  #next() {
    if (this.#waiting) return;
    const text = this.#receipts.shift() ?? this.#stock;
    if (text === null) return;
    if (text === this.#stock) this.#stock = null;
    this.region.textContent = text;
    this.#waiting = true;
    setTimeout(() => {
      this.#waiting = false;
      this.#next();
    }, PAUSE_MS);
  }
}
