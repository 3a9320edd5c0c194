// @ts-check
/** The sheet: all drops of the show, or the viewer's own orders of it. */
import { make, mark, picture, say } from "../shared/dom.js";
import { money, when } from "../shared/format.js";
import { t } from "../shared/texts.js";
import { phaseOf, stockWords } from "./card.js";

/** @typedef {{id: string, drop: string, title: string, quantity: number, total: number, currency: string, at: number}} Bought */

/** What can be bought now comes first, then what will be, then what is gone. */
const ORDER = ["open", "coming", "sold_out", "closed"];

/**
 * All drops of the show.
 * @param {import("./paint.js").Find} $
 * @param {import("./card.js").Drop[]} drops
 * @param {number} now
 * @param {boolean} fresh whether the stock is of this moment
 * @param {import("./paint.js").Resolve} resolve
 */
export function paintDrops($, drops, now, fresh, resolve) {
  say($("sheet-title"), t("overlay.drops_title"));
  say($("sheet-note"), fresh ? "" : t("card.lost"));
  const place = (/** @type {import("./card.js").Drop} */ drop) => ORDER.indexOf(phaseOf(drop, now));
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
 * The viewer's orders of this show, newest first.
 * @param {import("./paint.js").Find} $
 * @param {Bought[]} orders
 * @param {import("./card.js").Drop[]} drops
 * @param {string} note
 * @param {import("./paint.js").Resolve} resolve
 */
export function paintOrders($, orders, drops, note, resolve) {
  say($("sheet-title"), t("overlay.orders_title"));
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
