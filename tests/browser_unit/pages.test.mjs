// @ts-check
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ApiError } from "../../client/shared/api.js";
import { pagesOf, PagedList } from "../../client/shared/pages.js";
import { useTexts } from "../../client/shared/texts.js";
import { onSale } from "../../client/viewer/selling.js";

useTexts(JSON.parse(readFileSync(new URL("../../client/texts/en.json", import.meta.url), "utf8")), "en");

/** As much of an element as a list needs. @returns {any} */
function element() {
  const classes = new Set();
  const made = {
    children: /** @type {any[]} */ ([]), attributes: {}, textContent: "", hidden: true, disabled: false, click: () => {},
    classList: { add: (c) => classes.add(c), remove: (c) => classes.delete(c), contains: (c) => classes.has(c) },
    append: (...more) => void made.children.push(...more),
    replaceChildren: (...more) => void (made.children = more),
    setAttribute: (name, value) => void (made.attributes[name] = value),
    removeAttribute: (name) => void delete made.attributes[name],
    addEventListener: (_, listener) => (made.click = listener),
  };
  return made;
}

/** A list whose answers come when the test says. */
function listOf() {
  const asked = /** @type {any[]} */ ([]);
  const parts = {
    list: element(), more: element(), note: element(), empty: element(),
    ask: (cursor, wanted) => new Promise((answer, fail) => void asked.push({ cursor, wanted, answer, fail })),
    tile: (item) => ({ item, focus: () => void (focused = item), querySelector: () => null }),
  };
  let focused = null;
  parts.more.textContent = "More";
  return { ...parts, asked, pages: new PagedList(parts), items: () => parts.list.children.map(({ item }) => item), focused: () => focused };
}

test("an older answer never comes after a newer one", async () => {
  const { pages, asked, items, list } = listOf();
  const [first, second] = [pages.restart(), pages.restart()];
  assert.deepEqual(asked.map(({ wanted }) => wanted.aborted), [true, false]);
  asked[1].answer({ items: ["new"], next: null });
  await second;
  asked[0].answer({ items: ["old"], next: "x" });
  await first;
  assert.deepEqual(items(), ["new"]);
  assert.equal(list.attributes["aria-busy"], undefined);
});

test("what is shown stays until the next answer is there, and an older failure says nothing", async () => {
  const { pages, asked, items, note } = listOf();
  const shown = pages.restart();
  asked[0].answer({ items: ["a"], next: null });
  await shown;
  const [first, second] = [pages.restart(), pages.restart()];
  asked[1].fail(new ApiError(0, "unreachable", "Gone."));
  await first;
  assert.deepEqual(items(), ["a"]);
  asked[2].answer({ items: ["b"], next: null });
  await second;
  assert.deepEqual([items(), note.textContent], [["b"], ""]);
});

test("the next page comes after the first, and the keyboard goes on where the list grew", async () => {
  const { pages, asked, items, more, focused } = listOf();
  const shown = pages.restart();
  asked[0].answer({ items: ["a", "b"], next: "2" });
  await shown;
  assert.equal(more.hidden, false);
  more.click();
  assert.equal(asked[1].cursor, "2");
  asked[1].answer({ items: ["c"], next: null });
  await new Promise(setImmediate);
  assert.deepEqual([items(), more.hidden, focused()], [["a", "b", "c"], true, "c"]);
});

test("an error is said in place; trying again asks for the same page", async () => {
  const { pages, asked, more, note, items, empty } = listOf();
  const shown = pages.restart();
  asked[0].answer({ items: ["a"], next: "2" });
  await shown;
  more.click();
  asked[1].fail(new ApiError(503, "busy", "Busy."));
  await new Promise(setImmediate);
  assert.deepEqual([note.textContent, note.classList.contains("bad"), more.textContent], ["Busy.", true, "Try again"]);
  more.click();
  assert.equal(asked[2].cursor, "2");
  asked[2].answer({ items: ["b"], next: null });
  await new Promise(setImmediate);
  assert.deepEqual([items(), note.textContent, more.textContent, empty.hidden], [["a", "b"], "", "More", true]);
});

test("a page of a list is asked for with what it is asked by", async () => {
  const paths = /** @type {string[]} */ ([]);
  const get = async (path) => (paths.push(path), { products: [1], next: undefined });
  const ask = pagesOf(get, "/api/products", "products", { q: "té & café" });
  assert.deepEqual(await ask(null, new AbortController().signal), { items: [1], next: null });
  await ask("c", new AbortController().signal);
  assert.deepEqual(paths, ["/api/products?q=t%C3%A9+%26+caf%C3%A9", "/api/products?q=t%C3%A9+%26+caf%C3%A9&cursor=c"]);
});

test("what a stream sells is the newest drop that is open", () => {
  const drops = /** @type {any[]} */ ([{ id: 1, status: "open" }, { id: 2, status: "open" }, { id: 3, status: "sold_out" }]);
  assert.equal(onSale({ drops })?.id, 2);
  assert.equal(onSale({ drops: [] }), null);
});
