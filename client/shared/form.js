// @ts-check
/** Forms whose errors stand beside their fields, and whose first bad field gets the focus. */
import { ApiError } from "./api.js";
import { mark, say } from "./dom.js";
import { t } from "./texts.js";

/** @typedef {Record<string, string>} Values what was typed, by the fields' names */

/** @type {Record<string, (value: string) => string>} What is missing in a field, or "". */
const CHECKS = {
  email: (value) => (/^\S+@\S+\.\S+$/.test(value.trim()) ? "" : t("error.email")),
  name: (value) => (value.trim() ? "" : t("form.name_missing")),
  password: (value) => (value ? "" : t("form.password_missing")),
  old: (value) => (value ? "" : t("form.password_missing")),
  new: newPassword,
  code: (value) => (/^\d{6}$/.test(value.replace(/[\s-]/g, "")) ? "" : t("form.code_missing")),
};

/**
 * What a new password lacks. The server knows more: it also refuses those that are easily guessed.
 * @param {string} value
 */
export function newPassword(value) {
  return value.length >= 10 ? "" : t("form.new_password_short");
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
  addEventListener("pageshow", (/** @type {PageTransitionEvent} */ event) => event.persisted && ready()); // back to a page that had led on
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
    ready();
  });

  function ready() {
    button.disabled = false;
    say(button, words);
  }
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
    complain(field, error.detail);
    field.focus();
  } else tell(form, error.detail, "bad");
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
