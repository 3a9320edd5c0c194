// @ts-check
/** The viewer's orders, newest first, by day. */
import { ApiError, get } from "../shared/api.js";
import { byId, make, picture } from "../shared/dom.js";
import { money } from "../shared/format.js";
import { loginFor } from "../shared/login.js";
import { clock, day } from "../shared/moments.js";
import { pagesOf, PagedList } from "../shared/pages.js";
import { t } from "../shared/texts.js";
import "./top.js";

/**
 * @typedef {{id: string, ref: string, stream: string, stream_title: string, drop: string, product: string, variant: string, title: string,
 *   image: string | null, quantity: number, total: number, currency: string, status: string, placed_at: number}} Order
 */

/** @type {Record<string, () => string>} */
const STATUS = {
  accepted: () => t("orders.accepted"),
  held: () => t("orders.held"),
  cancelled: () => t("orders.cancelled"),
  refunded: () => t("orders.refunded"),
};

/** @param {Order} order */
function tile(order) {
  const img = make("img", { alt: "", width: 72, height: 72, loading: "lazy", decoding: "async" });
  picture(img, order.image);
  const placed = make("time", { dateTime: new Date(order.placed_at).toISOString() }, clock(order.placed_at));
  const place = `/s/${encodeURIComponent(order.stream)}`;
  const main = make("div", { className: "tile-main" },
    make("p", { className: "tile-title" }, order.title),
    make("p", { className: "tile-note" }, `${t("orders.quantity", { n: order.quantity })} · `, placed),
    make("a", { className: "plain", href: place }, order.stream_title));
  const side = make("div", { className: "tile-side" },
    make("p", { className: "tile-total" }, money(order.total, order.currency)),
    make("p", { className: `badge is-${order.status}` }, STATUS[order.status]?.() ?? order.status));
  return make("li", { className: "tile order", "data-order": order.id }, 
    make("div", { className: "thumb" }, img), make("div", { className: "order-words" }, main, side));
}

/** Each day has a heading; a page may begin in the middle of one. @param {any[]} tiles @param {Order[]} orders */
function byDay(tiles, orders) {
  orders.forEach(({ placed_at: at }, index) => {
    const key = new Date(at).toDateString();
    let last = list.lastElementChild;
    if (last?.dataset.day !== key) {
      last = make("section", { "data-day": key }, make("h2", {}, day(at)), make("ul", { className: "list" }));
      list.append(last);
    }
    last.lastElementChild.append(tiles[index]);
  });
}

const list = byId("list");
new PagedList({
  list,
  more: byId("more"),
  note: byId("note"),
  empty: byId("empty"),
  ask: pagesOf(get, "/api/orders", "orders"),
  tile,
  put: byDay,
  handled: (error) => {
    if (!(error instanceof ApiError) || error.status !== 401) return false;
    location.replace(loginFor("/orders"));
    return true;
  },
}).restart();
