// @ts-check
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { applyEvent, applyStock, fromWelcome, withViewers } from "../../client/shared/reduce.js";

const GOLDEN = new URL("../golden/reduce.json", import.meta.url);

/** @returns {import("../../client/shared/reduce.js").Stream} */
const stream = (over = {}) => ({
  slug: "evening", title: "Evening", host: "Mira", status: "scheduled", starts_at: null, video: null, viewers: 0, ...over,
});
/** @returns {import("../../client/shared/reduce.js").Drop} */
const drop = (id, over = {}) => ({
  id, title: `Drop ${id}`, image: null, price: 2400, list_price: null, currency: "USD", limit: 2, opens_at: null, closes_at: null,
  variants: [{ id: "v", label: "One", left: 10, version: 1 }], status: "scheduled", product: "p", ...over,
});
const stocked = (id, status, left, version) => drop(id, { status, variants: [{ id: "v", label: "One", left, version }] });
/** @returns {import("../../client/shared/reduce.js").EventFrame} */
const event = (seq, kind, what) => ({ type: "event", seq, at: 1_000 + seq, event: { kind, ...what } });
/** @returns {import("../../client/shared/reduce.js").Welcome} */
const welcome = (seq, over = {}) => ({
  type: "welcome", session: "s", viewer: null, now: 1, tick_ms: 15_000, position: { epoch: "e", seq }, stock: [], ...over,
});
/** @type {import("../../client/shared/reduce.js").StreamState} */
const start = { stream: stream(), drops: [], seq: 0 };

const history = [
  event(1, "drop_scheduled", { drop: drop("a") }),
  event(2, "stream_started", { stream: stream({ status: "live", viewers: 99 }) }),
  event(3, "drop_opened", { drop: stocked("a", "open", 10, 1) }),
  event(4, "drop_scheduled", { drop: drop("b") }),
  event(5, "drop_sold_out", { drop: stocked("a", "sold_out", 0, 9) }),
  event(6, "poll_opened", { poll: { id: "unknown to this page" } }),
  event(7, "drop_opened", { drop: stocked("a", "open", 4, 10) }),
  event(8, "drop_closed", { drop: stocked("a", "closed", 3, 11) }),
  event(9, "stream_ended", { stream: stream({ status: "ended" }) }),
];
const fold = (state, frames) => frames.reduce(applyEvent, state);

test("a snapshot at n and the events n..m are the snapshot at m, for every n and m", () => {
  for (let n = 0; n <= history.length; n += 1) {
    for (let m = n; m <= history.length; m += 1) {
      assert.deepEqual(fold(fold(start, history.slice(0, n)), history.slice(n, m)), fold(start, history.slice(0, m)));
    }
  }
});

test("events that arrive twice change nothing", () => {
  const once = fold(start, history);
  assert.deepEqual(fold(once, history), once);
  assert.deepEqual(fold(start, history.flatMap((frame) => [frame, frame])), once);
});

test("an event of an unknown kind only moves the position on", () => {
  const before = fold(start, history.slice(0, 5));
  assert.deepEqual(applyEvent(before, history[5]), { ...before, seq: 6 });
});

test("the viewer count of a stream event never replaces the current one", () => {
  const state = withViewers(start, 1284);
  const live = applyEvent(state, event(1, "stream_started", { stream: stream({ status: "live", viewers: 3 }) }));
  assert.equal(live.stream.viewers, 1284);
  assert.equal(live.stream.status, "live");
});

test("stock of an older or equal version, or of a drop not known, changes nothing", () => {
  const state = { ...start, drops: [stocked("a", "open", 7, 5)] };
  const line = (left, version, id = "a") => ({ drop: id, variant: "v", left, version });
  assert.deepEqual(applyStock(state, [line(9, 4), line(8, 5)]), state);
  assert.equal(applyStock(state, [line(1, 99, "nobody")]), state);
  assert.equal(applyStock(state, [line(6, 6)]).drops[0].variants[0].left, 6);
});

test("the newest version wins whatever the order within a frame", () => {
  const state = { ...start, drops: [stocked("a", "open", 7, 5)] };
  const lines = [6, 7, 8].map((version) => ({ drop: "a", variant: "v", left: 20 - version, version }));
  for (const order of [lines, [...lines].reverse()]) assert.equal(applyStock(state, order).drops[0].variants[0].left, 12);
});

test("stock in an event never replaces stock of a newer version", () => {
  const state = { ...start, drops: [stocked("a", "open", 2, 20)] };
  const after = applyEvent(state, event(1, "drop_opened", { drop: stocked("a", "open", 10, 3) }));
  assert.deepEqual(after.drops[0].variants[0], { id: "v", label: "One", left: 2, version: 20 });
});

test("drops stay in the order they were scheduled", () => {
  const state = fold(start, history);
  assert.deepEqual(state.drops.map(({ id }) => id), ["a", "b"]);
});

test("a welcome with a snapshot starts over, one with what was missed goes on", () => {
  const fresh = fromWelcome(null, welcome(3, { snapshot: { stream: stream(), drops: [stocked("a", "open", 10, 1)] } }));
  assert.equal(fresh.seq, 3);
  const line = { drop: "a", variant: "v", left: 1, version: 12 };
  const on = fromWelcome(fresh, welcome(9, { missed: history.slice(3), stock: [line] }));
  assert.deepEqual([on.seq, on.stream.status, on.drops[0].variants[0].left], [9, "ended", 1]);
});

test("a snapshot of a replica that lags never turns the page back", () => {
  const snapshot = { stream: stream(), drops: [stocked("a", "open", 10, 1)] };
  const ahead = applyStock(fromWelcome(null, welcome(5, { snapshot })), [{ drop: "a", variant: "v", left: 2, version: 8 }]);
  assert.deepEqual(fromWelcome(ahead, welcome(4, { snapshot })), ahead);
  assert.equal(fromWelcome(ahead, welcome(6, { snapshot })).drops[0].variants[0].left, 2);
  const other = { ...welcome(1, { snapshot }), position: { epoch: "other", seq: 1 } };
  assert.equal(fromWelcome(ahead, other).drops[0].variants[0].left, 10);
});

test("a welcome that goes on from a state the page does not have is refused", () => {
  assert.throws(() => fromWelcome(null, welcome(3, { missed: [] })));
});

test("the fold agrees with the server on the golden cases", () => {
  assert.ok(existsSync(GOLDEN), "tests/golden/reduce.json is missing: it is written from server/domain/stream.py");
  const { cases } = JSON.parse(readFileSync(GOLDEN, "utf8"));
  assert.ok(cases.length > 0, "tests/golden/reduce.json holds no cases");
  for (const { name, start: from, frames, end } of cases) {
    const got = frames.reduce(
      (state, frame) => (frame.type === "stock" ? applyStock(state, frame.stock) : applyEvent(state, frame)),
      from,
    );
    assert.deepEqual(got, end, name);
  }
});
