// @ts-check
/** The sheet: all drops of the show, or the viewer's own orders of it. */
import { make, mark, picture, say } from "../shared/dom.js";
import { money, when } from "../shared/format.js";
import { t } from "../shared/texts.js";
import { phaseOf, stockWords } from "./card.js";

/** @typedef {{id: string, drop: string, title: string, quantity: number, total: number, currency: string, at: number}} Bought */
/** @typedef {import("./card.js").Drop} Drop */

/** What can be bought now comes first, then what will be, then what is gone. */
const ORDER = ["open", "coming", "sold_out", "closed"];

/** One list at a time, over the card; the rest of the overlay rests while it is open. */
export class Sheet {
  /** @type {"drops" | "orders" | null} what it shows; null: it is closed */ which = null;
  /** @type {Map<string, Bought>} newest first */ #bought = new Map();
  #note = "";

  /**
   * @param {import("./paint.js").Find} $
   * @param {object} needs
   * @param {() => void} needs.changed asks for `paint`
   * @param {import("./paint.js").Resolve} needs.resolve
   * @param {() => Promise<Bought[]>} needs.history the viewer's earlier orders of this show
   */
  constructor($, { changed, resolve, history }) {
    this.$ = $;
    this.changed = changed;
    this.resolve = resolve;
    this.history = history;
  }

  /** One more order. @param {Bought} order */
  add(order) {
    this.#bought = new Map([[order.id, order], ...this.#bought]);
  }

  /** @param {"drops" | "orders"} which */
  open(which) {
    const { $ } = this;
    if (this.which !== which) $("sheet-list").replaceChildren();
    this.which = which;
    say($("sheet-title"), which === "drops" ? t("overlay.drops_title") : t("overlay.orders_title"));
    this.#uncover(true);
    $("sheet-title").focus();
    if (which === "orders") this.#read();
    else this.changed();
  }

  /** The focus goes back to what opened it. */
  close() {
    if (!this.which) return;
    const opener = this.$(`open-${this.which}`);
    this.which = null;
    this.#uncover(false);
    (opener.hidden ? this.$("buy") : opener).focus();
    this.changed();
  }

  /** @param {Drop[]} drops @param {number} now @param {boolean} fresh whether the stock is of this moment */
  paint(drops, now, fresh) {
    if (this.which === "drops") paintDrops(this.$, drops, now, fresh, this.resolve);
    if (this.which === "orders") paintOrders(this.$, [...this.#bought.values()], drops, this.#note, this.resolve);
  }

  /** @param {boolean} open */
  #uncover(open) {
    this.$("sheet").hidden = this.$("behind").hidden = !open;
    this.$("dock").inert = this.$("bar").inert = open;
  }

  async #read() {
    this.#note = t("overlay.loading");
    this.changed();
    try {
      const earlier = await this.history();
      const all = [...this.#bought.values(), ...earlier.filter(({ id }) => !this.#bought.has(id))];
      this.#bought = new Map(all.map((order) => [order.id, order]));
      this.#note = all.length ? "" : t("overlay.no_orders");
    } catch {
      this.#note = t("overlay.orders_failed");
    }
    this.changed();
  }
}

/**
 * All drops of the show.
 * @param {import("./paint.js").Find} $
 * @param {Drop[]} drops
 * @param {number} now
 * @param {boolean} fresh whether the stock is of this moment
 * @param {import("./paint.js").Resolve} resolve
 */
function paintDrops($, drops, now, fresh, resolve) {
  say($("sheet-note"), fresh ? "" : t("card.lost"));
  const place = (/** @type {Drop} */ drop) => ORDER.indexOf(phaseOf(drop, now));
  const rows = [...drops].sort((one, other) => place(one) - place(other)).map((drop) => {
    const phase = phaseOf(drop, now);
    const left = drop.variants.reduce((sum, variant) => sum + variant.left, 0);
    const stock = fresh || phase !== "open" ? stockWords(drop, phase, left, now) : t("card.stock_unknown");
    const row = rowOf($("sheet-list"), drop.id, "button", drop.title, money(drop.price, drop.currency), stock);
    mark(row.firstElementChild, "data-drop", drop.id);
    mark(row.firstElementChild, "data-phase", phase);
    picture(row.querySelector("img"), resolve(drop.image));
    return row;
  });
  arrange($("sheet-list"), rows);
}

/**
 * The viewer's orders of this show, newest first, and `note`.
 * @param {import("./paint.js").Find} $
 * @param {Bought[]} orders
 * @param {Drop[]} drops
 * @param {string} note
 * @param {import("./paint.js").Resolve} resolve
 */
function paintOrders($, orders, drops, note, resolve) {
  say($("sheet-note"), note);
  const rows = orders.map(({ id, drop, title, quantity, total, currency, at }) => {
    const about = t("overlay.ordered_at", { n: quantity, time: when(at) });
    const row = rowOf($("sheet-list"), id, "div", title, money(total, currency), about);
    picture(row.querySelector("img"), resolve(drops.find((one) => one.id === drop)?.image ?? null));
    return row;
  });
  arrange($("sheet-list"), rows);
}

/** @param {any} list @param {string} key @param {string} tag @param {string} title @param {string} price @param {string} note */
function rowOf(list, key, tag, title, price, note) {
  let row = [...list.children].find((one) => one.dataset.key === key);
  if (!row) {
    row = make("li", { "data-key": key }, make(tag, { className: "row", ...(tag === "button" && { type: "button" }) },
      make("img", { alt: "", width: 56, height: 56, loading: "lazy" }),
      make("span", { className: "row-title" }), make("span", { className: "row-price" }), make("span", { className: "row-note" })));
  }
  say(row.querySelector(".row-title"), title);
  say(row.querySelector(".row-price"), price);
  say(row.querySelector(".row-note"), note);
  return row;
}

/** The list's rows, in this order; a row that stays keeps the focus. @param {any} list @param {any[]} rows */
function arrange(list, rows) {
  for (const old of [...list.children]) if (!rows.includes(old)) old.remove();
  rows.forEach((row, place) => {
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
  });
}
