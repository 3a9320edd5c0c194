// @ts-check
import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { test } from "node:test";
import { Restocks } from "../../client/host/commands.js";
import { AGAIN_WITHIN_MS, ANSWER_WITHIN_MS, Orders, RESEND_WITHIN_MS } from "../../client/shared/orders.js";

// Browsers and newer nodes have it; node 18 only behind a flag.
// @ts-ignore
globalThis.crypto ??= webcrypto;

function makeTab(kept = new Map()) {
  /** @type {any} */
  const tab = { at: 1_000_000, sent: [], up: true, refs: 0, kept, timers: [] };
  tab.storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
  tab.load = () => {
    tab.orders = new Orders("evening", {
      send: (frame) => tab.up && tab.sent.push(frame) > 0,
      storage: tab.storage,
      now: () => tab.at,
      ref: () => `ref-${(tab.refs += 1)}`,
      after: (ms, then) => tab.timers.push({ ms, then }),
    });
  };
  tab.load();
  tab.orders.welcome("ada");
  return tab;
}
const wish = { drop: "d", variant: "v", quantity: 1 };
const accepted = (ref, quantity = 1) => ({ type: "receipt", ref, status: "accepted", order: "o", quantity, total: 2400, currency: "USD" });
const rejected = (ref, reason, retry) => ({ type: "receipt", ref, status: "rejected", reason, retry });
const refs = (tab) => tab.sent.map(({ ref }) => ref);

test("a double tap is one order", () => {
  const tab = makeTab();
  tab.orders.place(wish);
  tab.orders.place(wish);
  assert.deepEqual(tab.sent, [{ type: "order", ref: "ref-1", drop: "d", variant: "v", quantity: 1 }]);
});

test("it is bought only when the receipt says accepted, and counted once", () => {
  const tab = makeTab();
  tab.orders.place(wish);
  assert.equal(tab.orders.bought("d"), 0);
  tab.orders.receive(accepted("ref-1"));
  assert.equal(tab.orders.receive(accepted("ref-1")), null);
  assert.equal(tab.orders.bought("d"), 1);
  assert.equal(tab.orders.of("d"), null);
});

test("an unanswered order goes out again under the same ref after the link was down", () => {
  const tab = makeTab();
  tab.orders.place(wish);
  tab.at += 20_000;
  tab.orders.welcome("ada");
  tab.orders.receive(accepted("ref-1"));
  tab.orders.welcome("ada");
  assert.deepEqual(refs(tab), ["ref-1", "ref-1"]);
});

test("after a return the server tells it by itself, and the answer to asking again changes nothing more", () => {
  const tab = makeTab();
  tab.orders.place(wish);
  tab.orders.welcome("ada"); // asks again under the same ref
  assert.equal(tab.orders.receive(accepted("ref-1"))?.ref, "ref-1");
  assert.equal(tab.orders.receive(accepted("ref-1")), null);
  assert.equal(tab.orders.bought("d"), 1);
  assert.equal(tab.orders.of("d"), null);
});

test("an order that was told to try later, and was decided all the same, is answered by its late receipt", () => {
  const tab = makeTab();
  tab.orders.place(wish);
  tab.orders.receive(rejected("ref-1", "busy", true));
  assert.equal(tab.orders.of("d")?.state, "unknown");
  tab.orders.receive(accepted("ref-1"));
  assert.deepEqual([tab.orders.of("d"), tab.orders.bought("d")], [null, 1]);
  tab.orders.place(wish);
  assert.deepEqual(refs(tab), ["ref-1", "ref-2"]);
});

test("a receipt of another page changes nothing here", () => {
  const tab = makeTab();
  tab.orders.place(wish);
  assert.equal(tab.orders.receive(accepted("ref-of-another-page")), null);
  assert.equal(tab.orders.bought("d"), 0);
  assert.equal(tab.orders.of("d")?.state, "sending");
});

test("an unanswered order survives a reload of the tab, and so does what was bought", () => {
  const tab = makeTab();
  tab.orders.place(wish);
  tab.load();
  tab.orders.welcome("ada");
  assert.deepEqual(refs(tab), ["ref-1", "ref-1"]);
  tab.orders.receive(accepted("ref-1"));
  tab.load();
  tab.orders.welcome("ada");
  assert.equal(tab.orders.bought("d"), 1);
  assert.equal(tab.sent.length, 2);
});

for (const reason of ["busy", "draining", "rate_limited", "internal"]) {
  test(`${reason}: trying again sends the same ref`, () => {
    const tab = makeTab();
    tab.orders.place(wish);
    tab.orders.receive(rejected("ref-1", reason, true));
    tab.orders.welcome("ada");
    assert.equal(tab.sent.length, 1, "not by itself: the viewer was told, and decides");
    tab.orders.retry("d");
    assert.deepEqual(refs(tab), ["ref-1", "ref-1"]);
    assert.equal(tab.orders.of("d")?.state, "sending");
  });
}

test("a final refusal ends the ref; the next tap has a new one", () => {
  const tab = makeTab();
  tab.orders.place(wish);
  tab.orders.receive(rejected("ref-1", "sold_out", false));
  assert.equal(tab.orders.outcome("d")?.receipt.reason, "sold_out");
  tab.orders.place(wish);
  assert.deepEqual(refs(tab), ["ref-1", "ref-2"]);
});

test("another choice after `not_open` is another order; what may have been bought must be answered first", () => {
  const sure = makeTab();
  sure.orders.place(wish);
  sure.orders.receive(rejected("ref-1", "not_open", true));
  sure.orders.place({ ...wish, quantity: 2 });
  assert.deepEqual(refs(sure), ["ref-1", "ref-2"]);
  for (const reason of ["busy", "draining", "rate_limited", "internal"]) {
    const unsure = makeTab();
    unsure.orders.place(wish);
    unsure.orders.receive(rejected("ref-1", reason, true));
    unsure.orders.place({ ...wish, quantity: 2 });
    assert.deepEqual(unsure.sent[1], unsure.sent[0]);
  }
});

const busy = (ref) => ({ ...rejected(ref, "busy", true), retry_in_ms: 700 });

test("a busy server is asked again when it said, under the same ref, without the viewer", () => {
  const tab = makeTab();
  tab.orders.place(wish);
  assert.equal(tab.orders.receive(busy("ref-1")), null, "nothing to tell yet");
  assert.equal(tab.orders.of("d")?.state, "sending");
  assert.equal(tab.sent.length, 1, "not at once");
  const [{ ms, then }] = tab.timers;
  assert.equal(ms, 700);
  then();
  assert.deepEqual(refs(tab), ["ref-1", "ref-1"]);
  tab.orders.receive(accepted("ref-1"));
  assert.equal(tab.orders.bought("d"), 1);
});

test("a server that stays busy is asked for so long; then the viewer decides", () => {
  const tab = makeTab();
  tab.orders.place(wish);
  tab.at += AGAIN_WITHIN_MS;
  assert.equal(tab.orders.receive(busy("ref-1"))?.ref, "ref-1");
  assert.equal(tab.timers.length, 0);
  assert.equal(tab.orders.of("d")?.state, "unknown");
  tab.orders.retry("d");
  tab.orders.receive(busy("ref-1"));
  assert.equal(tab.timers.length, 1, "and asked again after that");
});

test("an order that was answered, sent on another link or left behind is not asked again", () => {
  const late = makeTab();
  late.orders.place(wish);
  late.orders.receive(busy("ref-1"));
  late.orders.receive(accepted("ref-1"));
  late.timers[0].then();
  assert.equal(late.sent.length, 1);
  const moved = makeTab();
  moved.orders.place(wish);
  moved.orders.receive(busy("ref-1"));
  moved.orders.welcome("ada");
  moved.timers[0].then();
  assert.deepEqual(refs(moved), ["ref-1", "ref-1"]);
  const left = makeTab();
  left.orders.place(wish);
  left.orders.receive(busy("ref-1"));
  left.orders.welcome(null);
  left.timers[0].then();
  assert.equal(left.sent.length, 1);
});

test("no answer on a live link lets the viewer try again, and a late receipt still counts", () => {
  const tab = makeTab();
  tab.orders.place(wish);
  tab.at += ANSWER_WITHIN_MS + 1;
  tab.orders.age();
  assert.equal(tab.orders.of("d")?.state, "unknown");
  tab.orders.receive(accepted("ref-1"));
  assert.equal(tab.orders.bought("d"), 1);
});

test("an order from long ago is not sent without the viewer", () => {
  const tab = makeTab();
  tab.orders.place(wish);
  tab.at += RESEND_WITHIN_MS + 1;
  tab.load();
  tab.orders.welcome("ada");
  assert.equal(tab.sent.length, 1);
  assert.equal(tab.orders.of("d")?.state, "unknown");
});

test("one viewer's order is never sent as another's, nor by a guest", () => {
  const tab = makeTab();
  tab.orders.place(wish);
  tab.orders.welcome(null);
  tab.orders.welcome("eve");
  assert.equal(tab.sent.length, 1);
  assert.equal(tab.orders.of("d"), null);
  tab.orders.welcome("ada");
  assert.deepEqual(refs(tab), ["ref-1", "ref-1"]);
});

test("a page whose storage is blocked or broken still buys", () => {
  const blocked = () => {
    throw new Error("blocked");
  };
  const sent = [];
  const orders = new Orders("evening", { send: (frame) => sent.push(frame) > 0, storage: { getItem: blocked, setItem: blocked } });
  orders.welcome("ada");
  orders.place(wish);
  assert.equal(sent.length, 1);
  assert.match(sent[0].ref, /^[\x21-\x7e]{1,64}$/);
});

test("a restock keeps its ref until it is answered", async () => {
  const seen = [];
  let answer = async () => ({});
  let made = 0;
  const restocks = new Restocks((_, body) => (seen.push(body), answer()), () => `ref-${(made += 1)}`);
  const fail = (status) => async () => Promise.reject(Object.assign(new Error("no"), { status }));
  for (const status of [0, 503, 429]) {
    answer = fail(status);
    await assert.rejects(restocks.add("d", "v", 5));
  }
  answer = async () => ({});
  await restocks.add("d", "v", 5);
  await restocks.add("d", "v", 5);
  answer = fail(409);
  await assert.rejects(restocks.add("d", "v", 5));
  await assert.rejects(restocks.add("d", "v", 5));
  assert.deepEqual(seen.map(({ ref }) => ref), ["ref-1", "ref-1", "ref-1", "ref-1", "ref-2", "ref-3", "ref-4"]);
  assert.deepEqual(seen[0], { variant: "v", quantity: 5, ref: "ref-1" });
});
