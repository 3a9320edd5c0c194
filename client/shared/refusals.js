// @ts-check
/** What the server refused, as a sentence in the reader's language. */
import { locale, t } from "./texts.js";

/**
 * @typedef {object} Refusal
 * @property {string} reason
 * @property {string} [detail] the server's own sentence, in English
 * @property {string} [field] the part of what was sent that is wrong
 * @property {number} [retryAfterS] when to come back, where the server says so
 */

/**
 * By reason and field, then by reason. What is not here has so many details that only the server knows them.
 * @type {Record<string, (refusal: Refusal) => string>}
 */
const SENTENCES = {
  "bad_credentials.code": () => t("error.code"),
  "bad_credentials.old": () => t("error.password"),
  "bad_credentials.password": () => t("error.password"),
  "bad_request.email": () => t("error.email"),
  "bad_request.name": () => t("error.name"),
  "bad_request.new": () => t("error.new_password"),
  "bad_request.password": () => t("error.new_password"),
  bad_credentials: () => t("error.credentials"),
  busy: () => t("error.busy"),
  draining: () => t("error.busy"),
  internal: () => t("error.internal"),
  login_required: () => t("error.login_required"),
  rate_limited: ({ retryAfterS }) => t("error.rate_limited", { when: wait(retryAfterS ?? 1) }),
};

/**
 * One sentence for people. In English the server's own is as good as any; elsewhere a general one stands for it.
 * @param {Refusal} refusal
 * @returns {string}
 */
export function sentenceOf(refusal) {
  const { reason, field, detail } = refusal;
  const known = SENTENCES[`${reason}.${field}`] ?? SENTENCES[reason];
  if (known) return known(refusal);
  return detail && locale.split("-")[0] === "en" ? sentence(detail) : t("error.other");
}

/** @param {string} text */
function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/** @param {number} seconds */
function wait(seconds) {
  return seconds < 120 ? t("error.seconds", { n: seconds }) : t("error.minutes", { n: Math.ceil(seconds / 60) });
}
