// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import "./texts.mjs";
import { dropNews, stockNews } from "../../client/overlay/announce.js";
import { cardOf, phaseOf, pinned, refusal, YOURS_MS } from "../../client/overlay/card.js";

const NOW = 1_000_000;
/** @returns {import("../../client/shared/reduce.js").Drop} */
const drop = (over = {}) => ({
  id: "d", title: "Lamp", image: null, price: 2400, list_price: null, currency: "USD", limit: 1, opens_at: null, closes_at: null,
  variants: [{ id: "v", label: "One", left: 5, version: 1 }], status: "open", product: "p", ...over,
});
const empty = [{ id: "v", label: "One", left: 0, version: 2 }];
/** @returns {import("../../client/overlay/card.js").Sight} */
const sight = (over = {}) => ({
  drop: drop(), variant: "v", quantity: 1, link: "live", signedIn: true, ended: false, entry: null, outcome: null,
  bought: 0, now: NOW, step: null, ...over,
});
/** @param {string | null} [reason] */
const entry = (state, reason = null) => ({ ref: "r", viewer: "a", drop: "d", variant: "v", quantity: 1, at: NOW, sentAt: NOW, state, reason });
const answer = (receipt, at = NOW) => ({ receipt: { type: "receipt", ref: "r", ...receipt }, at, quantity: 1 });
const accepted = { status: "accepted", quantity: 1, total: 2400, currency: "USD" };
const label = (over) => cardOf(sight(over)).button.label;

test("the button walks from Buy over Sending to Yours", () => {
  assert.match(label({}), /^Buy .*24/);
  assert.match(label({ drop: drop({ limit: 3 }), quantity: 2 }), /^Buy 2 · .*48/);
  assert.equal(label({ entry: entry("sending") }), "Sending…");
  assert.equal(label({ bought: 1, outcome: answer(accepted) }), "Yours ✓");
});

test("Yours needs an accepted receipt: nothing else makes the button say so", () => {
  for (const state of ["sending", "retry", "unknown"]) assert.notEqual(label({ entry: entry(state) }), "Yours ✓");
  assert.notEqual(label({ outcome: answer({ status: "rejected", reason: "busy", retry: true }) }), "Yours ✓");
});

test("who may buy more sees Yours for a moment, then Buy again", () => {
  const more = { drop: drop({ limit: 3 }), bought: 1, outcome: answer(accepted) };
  assert.equal(label(more), "Yours ✓");
  assert.match(label({ ...more, now: NOW + YOURS_MS }), /^Buy/);
  assert.equal(label({ ...more, bought: 3, now: NOW + YOURS_MS }), "Yours ✓");
});

test("what cannot be bought is not offered", () => {
  assert.equal(label({ drop: drop({ variants: empty }) }), "Sold out");
  assert.equal(label({ drop: drop({ status: "sold_out" }) }), "Sold out");
  assert.equal(label({ drop: drop({ status: "closed" }) }), "Closed");
  assert.equal(label({ drop: drop({ status: "scheduled" }) }), "Not open yet");
  assert.equal(label({ ended: true }), "Stream ended");
  assert.equal(label({ outcome: answer({ status: "rejected", reason: "limit_reached", retry: false }) }), "Limit reached");
});

test("while the link is down the button waits and the card says so", () => {
  for (const link of ["waiting", "connecting"]) {
    const card = cardOf(sight({ link }));
    assert.equal(card.button.action, null);
    assert.match(card.message, /Link lost/);
  }
  assert.equal(label({ link: "waiting", entry: entry("sending") }), "Sending…");
  assert.match(cardOf(sight({ link: "waiting", entry: entry("sending") })).message, /never buys twice/);
});

test("an order without a final answer can be tried again, with its choice locked when it may have been bought", () => {
  const refused = (reason) => answer({ status: "rejected", reason, retry: true });
  const sure = cardOf(sight({ entry: entry("retry", "not_open"), outcome: refused("not_open") }));
  assert.deepEqual([sure.button.label, sure.button.action, sure.locked], ["Try again", "retry", false]);
  for (const phase of [drop(), drop({ status: "closed" })]) {
    const busy = cardOf(sight({ drop: phase, entry: entry("unknown", "busy"), outcome: refused("busy") }));
    assert.deepEqual([busy.button.label, busy.button.action, busy.locked], ["Try again", "retry", true]);
    assert.match(busy.message, /never buys twice/);
    assert.doesNotMatch(busy.message, /Nothing was bought/);
  }
  const unknown = cardOf(sight({ entry: entry("unknown"), drop: drop({ status: "sold_out" }) }));
  assert.deepEqual([unknown.button.label, unknown.locked], ["Try again", true]);
});

test("a guest is led to sign in", () => assert.equal(cardOf(sight({ signedIn: false })).button.action, "login"));

test("a drop's own times count even before the event is out", () => {
  assert.equal(phaseOf(drop({ closes_at: NOW }), NOW), "closed");
  assert.equal(phaseOf(drop({ opens_at: NOW + 1 }), NOW), "coming");
  assert.equal(phaseOf(drop({ opens_at: NOW }), NOW), "open");
});

test("the card shows the viewer's choice, else what opened last, else the best there is", () => {
  const [a, b, c] = [drop({ id: "a", status: "sold_out" }), drop({ id: "b" }), drop({ id: "c", status: "scheduled" })];
  assert.equal(pinned([a, b, c], null, null, NOW)?.id, "b");
  assert.equal(pinned([a, b, c], null, "a", NOW)?.id, "a");
  assert.equal(pinned([a, b, c], "c", "a", NOW)?.id, "c");
  assert.equal(pinned([a, c], null, null, NOW)?.id, "c");
  assert.equal(pinned([drop({ id: "x", status: "closed" }), b], null, "x", NOW)?.id, "b");
  assert.equal(pinned([], null, null, NOW), null);
});

test("sold_out for several units while some are left is said as it is", () => {
  assert.match(refusal("sold_out", 3, 2), /Fewer than 3/);
  assert.match(refusal("sold_out", 1, 0), /Sold out/);
});

test("stock is announced at 10, 5, 3, 1 and sold out only, with the true number", () => {
  assert.equal(stockNews(12, 11), null);
  assert.equal(stockNews(12, 10), "10 left");
  assert.equal(stockNews(10, 9), null);
  assert.equal(stockNews(12, 4), "4 left");
  assert.equal(stockNews(2, 0), "Sold out");
  assert.equal(stockNews(0, 50), null);
});

test("closing a drop is never announced as sold out; selling the last unit is, once", () => {
  const gone = drop({ variants: empty });
  assert.equal(dropNews(drop(), gone, "v"), null);
  assert.equal(dropNews(gone, drop({ status: "closed", variants: empty }), "v"), null);
  const soldOut = drop({ status: "sold_out", variants: empty });
  assert.equal(dropNews(gone, soldOut, "v"), "Sold out");
  assert.equal(dropNews(soldOut, soldOut, "v"), null);
  assert.equal(dropNews(drop({ variants: [{ ...empty[0], left: 6 }] }), drop(), "v"), "5 left");
});
