// @ts-check
/** Sign in, then go back to where the viewer came from. */
import { ApiError, post } from "../shared/api.js";
import { byId, say } from "../shared/dom.js";
import { safeNext } from "../shared/login.js";

const [email, password, note, button] = ["email", "password", "note", "sign-in"].map(byId);

/** @param {unknown} error */
function sentence(error) {
  if (!(error instanceof ApiError)) throw error;
  if (error.reason === "bad_credentials") return "E-mail or password is wrong.";
  if (error.reason === "rate_limited") return "Too many tries. Wait a moment, then try again.";
  return error.detail;
}

/** @param {any} field @param {string} words */
function complain(field, words) {
  say(note, words);
  field.focus();
}

byId("form").addEventListener("submit", async (/** @type {Event} */ event) => {
  event.preventDefault();
  say(note, "");
  if (!/^\S+@\S+$/.test(email.value.trim())) return complain(email, "Enter your e-mail address.");
  if (!password.value) return complain(password, "Enter your password.");
  button.disabled = true;
  say(button, "Signing in…");
  try {
    await post("/api/login", { email: email.value.trim(), password: password.value });
    location.assign(safeNext(new URLSearchParams(location.search).get("next"), location.origin));
  } catch (error) {
    button.disabled = false;
    say(button, "Sign in");
    complain(password, sentence(error));
  }
});
for (const id of ["register-link", "forgot-link"]) byId(id).search = location.search;
email.focus();
