// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BASE_MS, BEHIND_MS, CAP_MS, Link, OPENING_MS, backoffMs, comesBack, deadAfterMs, judgeSeq, positionAfter, waitMs,
} from "../../client/shared/link.js";

/** A world whose clock and sockets the test moves by hand. */
function makeWorld({ random = 0.5 } = {}) {
  /** @type {any} */
  const world = { at: 1_000_000, sockets: [], timers: [], frames: [], states: [] };
  const seams = {
    open: () => {
      /** @type {any} */
      const socket = { readyState: 0, sent: [], closedWith: null };
      socket.send = (text) => socket.sent.push(JSON.parse(text));
      socket.close = (code) => ((socket.readyState = 3), (socket.closedWith = code));
      world.sockets.push(socket);
      return socket;
    },
    now: () => world.at,
    random: () => random,
    after: (ms, then) => {
      const timer = { due: world.at + ms, then };
      world.timers.push(timer);
      return timer;
    },
    cancel: (timer) => (world.timers = world.timers.filter((other) => other !== timer)),
  };
  world.pass = (ms) => {
    const until = world.at + ms;
    for (;;) {
      const next = world.timers.filter(({ due }) => due <= until).sort((a, b) => a.due - b.due)[0];
      if (!next) break;
      world.at = next.due;
      world.timers = world.timers.filter((other) => other !== next);
      next.then();
    }
    world.at = until;
  };
  const on = { frame: (frame) => world.frames.push(frame), state: (state, code) => world.states.push([state, code]) };
  world.link = new Link("evening", on, { world: seams });
  world.socket = () => world.sockets.at(-1);
  world.accept = () => ((world.socket().readyState = 1), world.socket().onopen({}));
  world.hear = (frame) => world.socket().onmessage({ data: JSON.stringify(frame) });
  world.close = (code) => world.socket().onclose({ code });
  world.link.start();
  return world;
}
const snapshot = { stream: {}, drops: [] };
/** @param {number} seq @param {object} [over] */
const welcome = (seq, over = { snapshot }) => ({
  type: "welcome", session: "s", viewer: null, now: 5_000_000, tick_ms: 4_000, position: { epoch: "e", seq }, stock: [], ...over,
});
const event = (seq) => ({ type: "event", seq, at: 1, event: { kind: "drop_opened" } });
const tick = (seq) => ({ type: "tick", now: 5_000_000, seq, viewers: 1 });
function live(seq = 5) {
  const world = makeWorld();
  world.accept();
  world.hear(welcome(seq));
  return world;
}

test("backoff has full jitter, doubles from the base and stops at the cap", () => {
  assert.equal(backoffMs(0, 0), 0);
  assert.equal(backoffMs(0, 1), BASE_MS);
  assert.equal(backoffMs(3, 0.5), BASE_MS * 4);
  assert.equal(backoffMs(60, 1), CAP_MS);
});

test("4500 to 4999 do not come back, every other code does", () => {
  for (const code of [1000, 1006, 1009, 1012, 1013, 4000, 4008, 4012, 4499]) assert.equal(comesBack(code), true, String(code));
  for (const code of [4500, 4501, 4503, 4504, 4999]) assert.equal(comesBack(code), false, String(code));
});

test("a drain says when to come back; a restart spreads the crowd wider than one lost link", () => {
  assert.equal(waitMs(1012, 0, 0.9, 2400), 2400);
  assert.equal(waitMs(1012, 0, 0.9, -5), 0);
  assert.equal(waitMs(1012, 0, 1, null), BASE_MS * 4);
  assert.equal(waitMs(1006, 0, 1, null), BASE_MS);
});

test("an event is the next one, a duplicate, or behind a gap", () => {
  assert.deepEqual([judgeSeq(5, 6), judgeSeq(5, 5), judgeSeq(5, 2), judgeSeq(5, 7)], ["next", "duplicate", "duplicate", "gap"]);
});

test("a welcome moves the position only when nothing is missing", () => {
  const known = { epoch: "e", seq: 5 };
  assert.deepEqual(positionAfter(null, welcome(9)), { epoch: "e", seq: 9 });
  assert.deepEqual(positionAfter(known, welcome(7, { missed: [{ seq: 6 }, { seq: 7 }] })), { epoch: "e", seq: 7 });
  assert.deepEqual(positionAfter(known, welcome(4, { missed: [] })), known);
  assert.equal(positionAfter(known, welcome(8, { missed: [{ seq: 7 }, { seq: 8 }] })), null);
  assert.equal(positionAfter(known, welcome(8, { missed: [{ seq: 6 }] })), null);
  assert.equal(positionAfter(null, welcome(2, { missed: [] })), null);
  assert.deepEqual(positionAfter({ epoch: "old", seq: 50 }, welcome(3)), { epoch: "e", seq: 3 });
});

test("hello comes first, without a position at first and with it on return", () => {
  const world = live(5);
  assert.deepEqual(world.socket().sent, [{ type: "hello", v: 1 }]);
  world.hear(event(6));
  world.close(1006);
  assert.equal(world.link.state, "waiting");
  world.pass(BASE_MS);
  world.accept();
  assert.deepEqual(world.socket().sent, [{ type: "hello", v: 1, position: { epoch: "e", seq: 6 } }]);
});

test("duplicates are not handed on; a gap is not shown but fetched", () => {
  const world = live(5);
  world.hear(event(6));
  world.hear(event(6));
  world.hear(event(9));
  assert.deepEqual(world.frames.map(({ type, seq }) => `${type} ${seq ?? ""}`.trim()), ["welcome", "event 6"]);
  assert.equal(world.link.state, "waiting");
});

test("two holes in a row ask for a whole snapshot", () => {
  const world = live(5);
  world.hear(event(9));
  world.pass(CAP_MS);
  world.accept();
  world.hear(welcome(9, { missed: [event(9)] }));
  world.pass(CAP_MS);
  world.accept();
  assert.deepEqual(world.socket().sent, [{ type: "hello", v: 1 }]);
});

test("a tick that stays ahead of the events is a gap; one that is caught up is not", () => {
  const caught = live(5);
  caught.hear(tick(6));
  caught.hear(event(6));
  caught.pass(BEHIND_MS + 1);
  assert.equal(caught.link.state, "live");
  const behind = live(5);
  behind.hear(tick(6));
  behind.pass(BEHIND_MS + 1);
  assert.equal(behind.link.state, "waiting");
});

test("silence of two and a half ticks is a dead link; any frame keeps it alive", () => {
  const world = live();
  world.pass(deadAfterMs(4_000) - 1);
  world.hear({ type: "stock", stock: [] });
  world.pass(deadAfterMs(4_000) - 1);
  assert.equal(world.link.state, "live");
  world.pass(2);
  assert.equal(world.link.state, "waiting");
});

test("a socket that never gets to welcome is given up", () => {
  const world = makeWorld();
  world.pass(OPENING_MS + 1);
  assert.equal(world.link.state, "waiting");
});

test("after a drain the link leaves and returns exactly when it was told to", () => {
  const world = live();
  world.hear({ type: "drain", reconnect_in_ms: 2_400 });
  world.close(1012);
  world.pass(2_399);
  assert.equal(world.sockets.length, 1);
  world.pass(2);
  assert.equal(world.sockets.length, 2);
});

test("a drain that nobody follows up with a close is followed by the page itself", () => {
  const world = live();
  world.hear({ type: "drain", reconnect_in_ms: 2_400 });
  world.pass(2_401);
  assert.equal(world.sockets.length, 2);
  assert.equal(world.sockets[0].closedWith, 1000);
});

test("a final close code ends it and says why", () => {
  const world = live();
  world.close(4504);
  world.pass(60_000);
  assert.deepEqual(world.states.at(-1), ["over", 4504]);
  assert.equal(world.sockets.length, 1);
});

test("a link that keeps failing waits longer and longer; nothing is sent while it is down", () => {
  const world = makeWorld({ random: 1 - 1e-9 });
  const waits = [];
  for (let turn = 0; turn < 7; turn += 1) {
    world.close(1006);
    const wait = world.timers[0].due - world.at;
    waits.push(Math.round(wait));
    world.pass(wait);
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 15000, 15000]);
  assert.equal(world.link.send({ type: "order" }), false);
});

test("late words of a socket that was left are not heard", () => {
  const world = live(5);
  const old = world.socket();
  world.hear(event(9));
  old.onmessage({ data: JSON.stringify(event(6)) });
  assert.equal(world.frames.length, 1);
});

test("the server's clock is known from welcome, and better from ticks with less delay", () => {
  const world = live();
  assert.equal(world.link.serverNow(), 5_000_000);
  world.hear({ ...tick(5), now: 5_000_040 });
  world.hear({ ...tick(5), now: 4_999_000 });
  assert.equal(world.link.serverNow(), 5_000_040);
});

test("a page that wakes up notices the silence at once", () => {
  const world = live();
  world.at += 60_000; // the tab slept, and its timers with it
  world.link.check();
  assert.equal(world.link.state, "waiting");
  world.link.check();
  assert.equal(world.link.state, "connecting");
});
