// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { ECHO_MS, UNDO_MS, Wish } from "../../client/overlay/wish.js";

/** A wish whose time the test moves by hand. */
function make() {
  /** @type {{due: number, then: () => void}[]} */
  let timers = [];
  const scene = { now: 0, sent: 0 };
  const world = {
    after: (/** @type {number} */ ms, /** @type {() => void} */ then) => {
      const timer = { due: scene.now + ms, then };
      timers.push(timer);
      return timer;
    },
    cancel: (/** @type {any} */ timer) => (timers = timers.filter((other) => other !== timer)),
  };
  const wish = new Wish({ send: () => scene.sent++, changed: () => {} }, world);
  const pass = (/** @type {number} */ ms) => {
    scene.now += ms;
    for (const timer of timers.filter(({ due }) => due <= scene.now)) {
      world.cancel(timer);
      timer.then();
    }
  };
  return { wish, scene, pass };
}

test("a first order is sent when it is confirmed, and not before", () => {
  const { wish, scene, pass } = make();
  wish.begin(false);
  pass(60_000);
  assert.deepEqual([wish.step, scene.sent], ["confirm", 0]);
  assert.equal(wish.affirm(), true);
  assert.deepEqual([wish.step, scene.sent], [null, 1]);
});

test("the echo of a tap confirms nothing", () => {
  const { wish, scene, pass } = make();
  wish.begin(false);
  pass(ECHO_MS - 1);
  assert.deepEqual([wish.affirm(), scene.sent], [false, 0]);
  pass(1);
  assert.deepEqual([wish.affirm(), scene.sent], [true, 1]);
});

test("a later order is sent by itself, once", () => {
  const { wish, scene, pass } = make();
  wish.begin(true);
  pass(UNDO_MS - 1);
  assert.equal(scene.sent, 0);
  pass(1);
  pass(60_000);
  assert.deepEqual([wish.step, scene.sent], [null, 1]);
});

test("a second tap sends a later order at once, and it is not sent again", () => {
  const { wish, scene, pass } = make();
  wish.begin(true);
  pass(ECHO_MS);
  wish.affirm();
  pass(60_000);
  assert.equal(scene.sent, 1);
});

test("what was taken back is never sent, and the card says so for a while", () => {
  const { wish, scene, pass } = make();
  wish.begin(true);
  wish.takeBack();
  assert.equal(wish.step, "undone");
  pass(60_000);
  assert.deepEqual([wish.step, scene.sent], [null, 0]);
});

test("what cannot be bought any more is not sent, and is said to have gone", () => {
  const { wish, scene, pass } = make();
  wish.begin(true);
  wish.stop();
  assert.equal(wish.step, "late");
  pass(60_000);
  assert.deepEqual([wish.step, scene.sent], [null, 0]);
});

test("the echo of a tap on Undo buys nothing, and the end of what is said keeps no tap waiting", () => {
  const { wish, pass } = make();
  wish.begin(true);
  pass(ECHO_MS);
  wish.takeBack();
  assert.equal(wish.ready, false); // Buy stands where Undo was
  pass(ECHO_MS);
  assert.equal(wish.ready, true);
  pass(5_000);
  assert.deepEqual([wish.step, wish.ready], [null, true]);
});
