// @ts-check
/** Forms whose errors stand beside their fields, and whose first bad field gets the focus. */
import { ApiError } from "./api.js";
import { mark, say } from "./dom.js";

/** @typedef {Record<string, string>} Values what was typed, by the fields' names */

/** @type {Record<string, (value: string) => string>} What is missing in a field, or "". */
const CHECKS = {
  email: (value) => (/^\S+@\S+\.\S+$/.test(value.trim()) ? "" : "Enter an e-mail address, such as ann@example.com."),
  name: (value) => (value.trim() ? "" : "Enter a name."),
  password: (value) => (value ? "" : "Enter your password."),
  old: (value) => (value ? "" : "Enter your password."),
  new: newPassword,
  code: (value) => (/^\d{6}$/.test(value.replace(/[\s-]/g, "")) ? "" : "Enter the six digits of the mail."),
};

/**
 * What a new password lacks. The server knows more: it also refuses those that are easily guessed.
 * @param {string} value
 */
export function newPassword(value) {
  return value.length >= 10 ? "" : "Use at least 10 characters.";
}

/**
 * Sends a form when it is submitted. `send` does it and may throw `ApiError`; while it does, the button says `busy`.
 * A field whose `autocomplete` is new-password is checked as one.
 * @param {any} form
 * @param {string} busy
 * @param {(values: Values) => Promise<void>} send
 */
export function tend(form, busy, send) {
  const button = form.querySelector("[type=submit]");
  const words = button.textContent;
  for (const field of fieldsOf(form)) field.addEventListener("input", () => complain(field, ""));
  form.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (button.disabled) return;
    tell(form, "");
    const fields = fieldsOf(form);
    for (const field of fields) complain(field, lacking(field));
    const bad = fields.find((field) => field.getAttribute("aria-invalid"));
    if (bad) return bad.focus();
    button.disabled = true;
    say(button, busy);
    try {
      await send(Object.fromEntries(fields.map((field) => [field.name, field.value])));
    } catch (error) {
      refuse(form, error);
    }
    button.disabled = false;
    say(button, words);
  });
}

/**
 * Says something below the form's fields.
 * @param {any} form @param {string} text @param {"good" | "bad" | ""} [kind]
 */
export function tell(form, text, kind = "") {
  const note = form.querySelector(".note");
  note.className = `note ${kind}`;
  say(note, text);
}

/**
 * Shows what the server refused: beside the field it names, or below all.
 * @param {any} form @param {any} error
 */
export function refuse(form, error) {
  if (!(error instanceof ApiError)) throw error;
  const field = fieldsOf(form).find((one) => one.name === error.field);
  if (field) {
    complain(field, sentence(error.detail));
    field.focus();
  } else tell(form, sentence(error.detail), "bad");
}

/** @param {string} text */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/** @param {any} form @returns {any[]} */
function fieldsOf(form) {
  return [...form.querySelectorAll("input.field")];
}

/** @param {any} field */
function lacking(field) {
  const check = field.autocomplete === "new-password" ? newPassword : CHECKS[field.name];
  if (!check) throw new Error(`no check for the field ${field.name}`);
  return check(field.value);
}

/** @param {any} field @param {string} words "" takes the complaint back */
function complain(field, words) {
  const note = document.getElementById(`${field.id}-note`);
  mark(field, "aria-invalid", words ? "true" : null);
  if (!note) return;
  note.classList.toggle("bad", Boolean(words));
  say(note, words || note.dataset.hint || "");
}
