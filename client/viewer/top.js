// @ts-check
/** What every page but the stream's has at its top: who is signed in, and the way to signing in and back. */
import { get } from "../shared/api.js";
import { byId, say } from "../shared/dom.js";
import "../shared/install.js";
import { loginFor } from "../shared/login.js";

/**
 * Who is signed in, or null. Asked once for a page, and only where the server has seen a session's cookie.
 * @type {Promise<{name: string, email: string, role: string} | null>}
 */
export const me = document.documentElement.dataset.session === "some" ? ask() : Promise.resolve(null);

async function ask() {
  try {
    const { user } = await get("/api/me");
    say(byId("signed-in-name"), user.name);
    return user;
  } catch (error) {
    if (/** @type {any} */ (error).status === 401) document.documentElement.dataset.session = "none";
    return null;
  }
}

const { pathname, search } = location;
byId("nav-sign-in").href = /^\/(login|register|forgot)$/.test(pathname) ? `/login${search}` : loginFor(pathname + search);
// A page that comes back out of the browser's memory may be of somebody who has signed out since.
addEventListener("pageshow", async (/** @type {PageTransitionEvent} */ event) => {
  if (event.persisted && (await me) && !(await ask())) location.reload();
});
