// @ts-check
/** Where one is signed in: one's own sessions, a button to end each, one to end all others, and one to end all. */
import { ApiError, get, post } from "../shared/api.js";
import { make, say } from "../shared/dom.js";
import { when } from "../shared/format.js";
import { loginFor } from "../shared/login.js";
import { t } from "../shared/texts.js";

/**
 * @typedef {{id: string, device: string, created_at: number, seen_at: number, current: boolean}} Session
 * @typedef {{get: (path: string) => Promise<any>, post: (path: string) => Promise<any>, leave: () => void}} Doors
 */

/**
 * What a tile says, line by line. The time of the last use is noted every few minutes only, so for this device it is not said.
 * @param {Session} session
 * @param {number} [now]
 */
export function wordsOf(session, now = Date.now()) {
  return {
    title: session.device || t("sessions.unknown"),
    use: session.current ? t("sessions.this") : t("sessions.used", { when: when(session.seen_at, now) }),
    since: t("sessions.since", { when: when(session.created_at, now) }),
  };
}

/** @returns {Doors} */
const browserDoors = () => ({ get, post, leave: () => location.replace(loginFor(location.pathname)) });

/**
 * Fills an element (a section of the page) with a heading, the list and its buttons, and keeps it true. Errors are said in place.
 * @param {HTMLElement} element
 * @param {Doors} [doors] the calls, and where to go when one is not signed in any more
 * @returns {Promise<void>} when the list is there
 */
export function showSessions(element, doors = browserDoors()) {
  const list = make("ul", { className: "list", tabIndex: -1 });
  const note = make("p", { className: "note", role: "status" });
  const others = make("button", { type: "button", className: "second-button", "data-testid": "end-others", hidden: true }, t("sessions.end_others"));
  others.addEventListener("click", () => act("/api/sessions/end-others", false));
  const all = make("button", { type: "button", className: "second-button", "data-testid": "end-all" }, t("sessions.end_all"));
  all.addEventListener("click", () => act("/api/sessions/end-all", true));
  element.setAttribute("aria-labelledby", "sessions-title");
  element.replaceChildren(make("h2", { id: "sessions-title" }, t("sessions.title")), list,
    make("div", { className: "row" }, others, all), note);
  return load();

  async function load() {
    say(note, t("page.loading"));
    await attempt(async () => {
      /** @type {Session[]} */
      const sessions = (await doors.get("/api/sessions")).sessions;
      list.replaceChildren(...sessions.map(line));
      others.hidden = sessions.length < 2;
      say(note, "");
    });
  }

  /** @param {Session} session */
  function line(session) {
    const { title, use, since } = wordsOf(session);
    const button = make("button", { type: "button", className: "plain", "aria-label": t("sessions.end_one", { device: title }) }, t("account.sign_out"));
    button.addEventListener("click", () => act(`/api/sessions/${session.id}/end`, session.current));
    const main = make("div", { className: "tile-main" },
      make("p", { className: "tile-title" }, title),
      make("p", { className: "tile-note" }, use),
      make("p", { className: "tile-note" }, since));
    return make("li", { className: "tile", "data-session": session.id }, main, make("div", { className: "tile-side" }, button));
  }

  /** @param {string} path @param {boolean} leaving */
  async function act(path, leaving) {
    await attempt(async () => {
      await doors.post(path);
      if (leaving) return doors.leave();
      await load();
      list.focus(); // the button that was pressed is gone: a keyboard goes on from here
    });
  }

  /** @param {() => Promise<void>} work */
  async function attempt(work) {
    note.classList.remove("bad");
    try {
      await work();
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return doors.leave();
      note.classList.add("bad");
      say(note, /** @type {Error} */ (error).message);
    }
  }
}
