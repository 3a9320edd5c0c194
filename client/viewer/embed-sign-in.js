// @ts-check
/**
 * The pop-up of an embed: asks whether the page that opened it may buy in the viewer's name, and hands it a pass.
 * The server has looked at the origin before it gave this page, and looks again before it gives the pass.
 */
import { ApiError, get, post } from "../shared/api.js";
import { byId, say } from "../shared/dom.js";
import { loginFor } from "../shared/login.js";
import { t } from "../shared/texts.js";

/**
 * A tap counts only when the question has been in sight for so long: a page can open this window under a finger that
 * is about to tap a second time.
 */
const READ_MS = 700;

const asked = new URLSearchParams(location.search);
const stream = asked.get("stream") ?? "";
const origin = asked.get("origin") ?? "";
const here = location.pathname + location.search;
const [ask, allow, note] = ["ask", "allow", "note"].map(byId);

/** Whether the page that opened this window is still there. */
const opener = () => (window.opener && !window.opener.closed ? window.opener : null);

/** @param {"ask" | "done" | "alone"} part */
function show(part) {
  for (const id of ["ask", "done", "alone"]) byId(id).hidden = id !== part;
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let reading;

/** Lets the question be answered once it has been in sight, and not while it is not. */
function arm() {
  clearTimeout(reading);
  allow.disabled = true;
  if (document.visibilityState === "visible" && document.hasFocus()) {
    reading = setTimeout(() => (allow.disabled = false), READ_MS);
  }
}

/** Closes the window; where a browser does not let us, some words stay. @param {string} words */
function leave(words) {
  say(byId("done-note"), words);
  show("done");
  window.close();
}

async function question() {
  if (!opener()) return show("alone");
  try {
    const { user } = await get("/api/me");
    say(byId("question"), t("embed.ask", { site: new URL(origin).host, name: user.name }));
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return location.replace(loginFor(here));
    say(note, /** @type {Error} */ (error).message);
  }
  byId("another").href = loginFor(here);
  show("ask");
  arm();
  for (const event of ["focus", "blur"]) window.addEventListener(event, arm);
  document.addEventListener("visibilitychange", arm);
}

ask.addEventListener("submit", async (/** @type {Event} */ event) => {
  event.preventDefault();
  if (allow.disabled) return;
  allow.disabled = true;
  say(note, "");
  try {
    const { pass } = await post("/api/embed/pass", { stream, origin });
    const page = opener();
    if (!page) return show("alone");
    // to this very origin and no other: whatever the window that opened us shows by now
    page.postMessage({ type: "dropcast-pass", pass, stream }, origin);
    leave(t("embed.goes_on"));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) return location.replace(loginFor(here));
    say(note, error.detail);
    arm();
  }
});
byId("not-now").addEventListener("click", () => leave(t("embed.nothing")));

question();
