// @ts-check
/** The viewer's orders, newest first. */
import { ApiError } from "../shared/api.js";
import { make } from "../shared/dom.js";
import { money, when } from "../shared/format.js";
import { loginFor } from "../shared/login.js";
import { pagedList } from "../shared/pages.js";

/**
 * @typedef {{id: string, ref: string, stream: string, drop: string, product: string, variant: string, title: string,
 *   quantity: number, total: number, currency: string, status: string, placed_at: number}} Order
 */

/** @type {Record<string, string>} */
const STATUS = { accepted: "Ordered", held: "Held for you", cancelled: "Cancelled", refunded: "Refunded" };

/** @param {Order} order */
function tile(order) {
  const main = make("div", { className: "tile-main" },
    make("p", { className: "tile-title" }, order.title),
    make("p", { className: "tile-note" }, `Quantity ${order.quantity} · ${when(order.placed_at)}`));
  const side = make("div", { className: "tile-side" },
    make("p", { className: "tile-total" }, money(order.total, order.currency)),
    make("p", { className: "tile-note" }, STATUS[order.status] ?? order.status));
  return make("li", { className: "tile", "data-order": order.id }, main, side);
}

pagedList("/api/orders", "orders", tile, (error) => {
  if (!(error instanceof ApiError) || error.status !== 401) return false;
  location.replace(loginFor("/orders"));
  return true;
});
