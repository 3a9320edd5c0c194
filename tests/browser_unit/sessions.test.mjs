// @ts-check
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ApiError } from "../../client/shared/api.js";
import { useTexts } from "../../client/shared/texts.js";
import { showSessions, wordsOf } from "../../client/viewer/sessions.js";

useTexts(JSON.parse(readFileSync(new URL("../../client/texts/en.json", import.meta.url), "utf8")), "en");
const NOON = new Date(2026, 10, 23, 12).getTime();
const session = (over = {}) => ({ id: "a", device: "Firefox on Linux", created_at: NOON, seen_at: NOON, current: false, ...over });

/** As much of an element as the list needs. */
class Element {
  /** @type {string} */ tag;
  /** @type {Element[]} */ children = [];
  /** @type {Record<string, string>} */ attributes = {};
  /** @type {Record<string, Function>} */ listeners = {};
  textContent = "";
  hidden = false;

  constructor(tag) {
    this.tag = tag;
    const classes = new Set();
    this.classList = { add: (c) => classes.add(c), remove: (c) => classes.delete(c), contains: (c) => classes.has(c) };
  }
  append(...children) {
    for (const child of children) {
      if (typeof child === "string") this.textContent += child;
      else this.children.push(child);
    }
  }
  replaceChildren(...children) {
    this.children = children;
  }
  addEventListener(name, listener) {
    this.listeners[name] = listener;
  }
  setAttribute(name, value) {
    this.attributes[name] = value;
  }
  focus() {
    globalThis.focused = this.tag;
  }
  all(tag) {
    return [...(this.tag === tag ? [this] : []), ...this.children.flatMap((child) => child.all(tag))];
  }
}
globalThis.document = /** @type {any} */ ({ createElement: (tag) => new Element(tag) });

/** @param {(path: string) => Promise<void>} [post] */
async function shown(answers, post = async () => {}) {
  const element = new Element("section");
  const said = { posts: /** @type {string[]} */ ([]), left: 0 };
  const doors = {
    get: async () => ({ sessions: answers.length > 1 ? answers.shift() : answers[0] }),
    post: async (path) => (said.posts.push(path), post(path)),
    leave: () => void said.left++,
  };
  await showSessions(/** @type {any} */ (element), doors);
  const [others, everywhere] = element.all("button").slice(-2);
  const [note] = element.all("p").slice(-1);
  return { element, said, others, everywhere, note, lines: () => element.all("li"), button: (n) => element.all("button")[n] };
}

test("a line says what, where it stands and since when", () => {
  assert.equal(wordsOf(session()).title, "Firefox on Linux");
  assert.match(wordsOf(session(), NOON).use, /^Last used .*12/);
  assert.match(wordsOf(session(), NOON).since, /^Signed in .*12/);
  assert.equal(wordsOf(session({ current: true }), NOON).use, "This device");
  assert.equal(wordsOf(session({ device: "" })).title, "An unknown device");
});

test("one session has nothing else to end", async () => {
  const page = await shown([[session({ current: true })]]);
  assert.equal(page.lines().length, 1);
  assert.equal(page.others.hidden, true);
  assert.equal(page.note.textContent, "");
});

test("ending another one asks for it and shows what is left", async () => {
  const page = await shown([[session({ current: true }), session({ id: "b" })], [session({ current: true })]]);
  assert.deepEqual([page.lines().length, page.others.hidden], [2, false]);
  await page.button(1).listeners.click();
  assert.deepEqual(page.said, { posts: ["/api/sessions/b/end"], left: 0 });
  assert.deepEqual([page.lines().length, page.others.hidden, globalThis.focused], [1, true, "ul"]);
});

test("everywhere is one call, and leaves", async () => {
  const page = await shown([[session({ current: true })]]);
  await page.everywhere.listeners.click();
  assert.deepEqual(page.said, { posts: ["/api/sessions/end-all"], left: 1 });
});

test("everywhere else is one call; ending this one leaves", async () => {
  const page = await shown([[session({ current: true }), session({ id: "b" })]]);
  await page.others.listeners.click();
  assert.deepEqual(page.said, { posts: ["/api/sessions/end-others"], left: 0 });
  await page.button(0).listeners.click();
  assert.deepEqual(page.said, { posts: ["/api/sessions/end-others", "/api/sessions/a/end"], left: 1 });
});

test("an error is said in place, and one who is not signed in any more leaves", async () => {
  let error = new ApiError(503, "busy", "Try again in a second.");
  const page = await shown([[session({ current: true }), session({ id: "b" })]], async () => {
    throw error;
  });
  await page.button(1).listeners.click();
  assert.deepEqual([page.note.textContent, page.note.classList.contains("bad")], ["Try again in a second.", true]);
  assert.equal(page.lines().length, 2);
  error = new ApiError(401, "login_required", "Sign in first.");
  await page.button(1).listeners.click();
  assert.equal(page.said.left, 1);
});
