// @ts-check
/** A list that comes in pages: first page at once, the next when asked, errors in place. */
import { get } from "./api.js";
import { byId, say } from "./dom.js";

/**
 * Fills `#list` from `path`, with `#empty`, `#note` and `#more` beside it.
 * @template T
 * @param {string} path
 * @param {string} plural the name of the list in the answer
 * @param {(item: T) => Node} tile
 * @param {(error: any) => boolean} [handled] gets errors first; true keeps the note as it is
 * @returns {Promise<void>} when the first page is there
 */
export function pagedList(path, plural, tile, handled = () => false) {
  const [list, more, note] = [byId("list"), byId("more"), byId("note")];
  /** @type {string | null} */
  let next = null;
  more.addEventListener("click", load);
  return load();

  async function load() {
    more.disabled = true;
    say(note, "Loading…");
    note.classList.remove("bad");
    try {
      const page = await get(next ? `${path}?cursor=${encodeURIComponent(next)}` : path);
      const added = page[plural].map(tile);
      list.append(...added);
      // The first one new takes the focus, so a keyboard goes on where the list grew.
      if (next) added[0]?.querySelector?.("a")?.focus();
      next = page.next ?? null;
      byId("empty").hidden = list.children.length > 0;
      more.hidden = next === null;
      say(note, "");
    } catch (error) {
      if (!handled(error)) {
        note.classList.add("bad");
        say(note, /** @type {Error} */ (error).message);
        more.hidden = false;
        more.textContent = "Try again";
      }
    }
    more.disabled = false;
  }
}
