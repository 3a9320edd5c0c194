// @ts-check
/** A list that comes in pages: the first at once, the next when asked; errors in place, with a way to try again. */
import { say } from "./dom.js";
import { t } from "./texts.js";

/**
 * @template T
 * @typedef {object} Parts
 * @property {any} list where the items go
 * @property {any} more the button that asks for the next page
 * @property {any} note what is going on, or what went wrong
 * @property {any} [empty] shown when there is nothing
 * @property {(cursor: string | null, wanted: AbortSignal) => Promise<{items: T[], next: string | null}>} ask
 * @property {(item: T) => any} tile
 * @property {(tiles: any[], items: T[]) => void} [put] where tiles go, when not just at the list's end
 * @property {(error: any) => boolean} [handled] gets errors first; true leaves the note alone
 * @property {(shown: number, next: string | null) => void} [told] hears what is shown now
 */

/**
 * What one asks for newly takes the place of what is still under way: an older answer never comes after a newer one.
 * @template T
 */
export class PagedList {
  /** @param {Parts<T>} parts */
  constructor(parts) {
    this.parts = parts;
    this.words = parts.more.textContent;
    /** @type {string | null} */
    this.next = null;
    this.shown = 0;
    this.asking = new AbortController();
    parts.more.addEventListener("click", () => this.#load(this.next === null));
  }

  /** From the first page on. What is shown stays until the answer is there. @returns {Promise<void>} */
  restart() {
    this.next = null;
    return this.#load(true);
  }

  /** @param {boolean} anew */
  async #load(anew) {
    const { list, more, note, empty, ask, tile, handled, told } = this.parts;
    this.asking.abort();
    const { signal } = (this.asking = new AbortController());
    more.disabled = true;
    list.setAttribute("aria-busy", "true");
    try {
      const { items, next } = await ask(this.next, signal);
      if (signal.aborted) return;
      this.#show(items, anew);
      this.next = next;
      more.hidden = next === null;
      say(more, this.words);
      if (empty) empty.hidden = this.shown > 0;
      note.classList.remove("bad");
      say(note, "");
      told?.(this.shown, next);
    } catch (error) {
      if (signal.aborted || handled?.(error)) return;
      note.classList.add("bad");
      say(note, /** @type {Error} */ (error).message);
      more.hidden = false;
      say(more, t("page.try_again"));
      if (!("reason" in /** @type {Error} */ (error))) throw error; // a bug, not a refusal
    } finally {
      if (!signal.aborted) {
        more.disabled = false;
        list.removeAttribute("aria-busy");
      }
    }
  }

  /** @param {T[]} items @param {boolean} anew */
  #show(items, anew) {
    const { list, tile, put } = this.parts;
    const tiles = items.map(tile);
    if (anew) list.replaceChildren();
    if (put) put(tiles, items);
    else list.append(...tiles);
    this.shown = (anew ? 0 : this.shown) + items.length;
    // The first one new takes the focus, so a keyboard goes on where the list grew.
    if (!anew) (tiles[0]?.querySelector("a") ?? tiles[0])?.focus();
  }
}

/**
 * Asks a path of the API for a page of a list.
 * @param {(path: string, wanted: AbortSignal) => Promise<any>} get
 * @param {string} path
 * @param {string} plural the name of the list in the answer
 * @param {Record<string, string>} [query]
 * @returns {(cursor: string | null, wanted: AbortSignal) => Promise<{items: any[], next: string | null}>}
 */
export function pagesOf(get, path, plural, query = {}) {
  return async (cursor, wanted) => {
    const asked = new URLSearchParams(cursor ? { ...query, cursor } : query).toString();
    const answer = await get(asked ? `${path}?${asked}` : path, wanted);
    return { items: answer[plural], next: answer.next ?? null };
  };
}
