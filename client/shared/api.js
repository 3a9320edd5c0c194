// @ts-check
/** HTTP: JSON in and out, and one kind of error with the server's reason, and a sentence in the reader's language. */
import { t } from "./texts.js";

const DEADLINE_MS = 15_000;

/** What the server refused, or that it could not be reached (`status` 0, `reason` "unreachable"). */
export class ApiError extends Error {
  /**
   * @param {number} status @param {string} reason @param {string} detail a sentence for the person
   * @param {string} [field] the part of what was sent that is wrong
   */
  constructor(status, reason, detail, field) {
    super(detail);
    this.field = field;
    this.status = status;
    this.reason = reason;
    this.detail = detail;
  }
}

/**
 * Calls the server. Throws `ApiError`.
 * @param {"GET" | "POST"} method
 * @param {string} path
 * @param {object} [body]
 * @param {AbortSignal} [wanted] ends the call when nobody wants its answer any more
 * @returns {Promise<any>} the answer's JSON, or null when it has none
 */
export async function call(method, path, body, wanted) {
  /** @type {RequestInit} */
  const init = { method, headers: { Accept: "application/json" }, signal: within(DEADLINE_MS, wanted) };
  if (method === "POST") {
    init.headers = { ...init.headers, "Content-Type": "application/json" };
    init.body = JSON.stringify(body ?? {});
  }
  let response;
  let text;
  try {
    response = await fetch(path, init);
    text = await response.text();
  } catch {
    throw new ApiError(0, "unreachable", t("error.unreachable"));
  }
  const answer = parsed(text);
  if (response.ok) return answer;
  const { reason = "internal", detail, field } = answer?.error ?? {};
  const { sentenceOf } = await import("./refusals.js"); // few pages are ever refused anything
  const retryAfterS = Number(response.headers.get("Retry-After")) || undefined;
  throw new ApiError(response.status, reason, sentenceOf({ reason, detail, field, retryAfterS }), field);
}

/** Reads; see `call`. @param {string} path @param {AbortSignal} [wanted] */
export const get = (path, wanted) => call("GET", path, undefined, wanted);
/** Does; see `call`. @param {string} path @param {object} [body] */
export const post = (path, body) => call("POST", path, body);

/** @param {string} text */
function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

/** @param {number} ms @param {AbortSignal} [wanted] */
function within(ms, wanted) {
  if (!wanted) return AbortSignal.timeout(ms);
  const both = new AbortController(); // AbortSignal.any is younger than the browsers people have
  setTimeout(() => both.abort(), ms);
  wanted.addEventListener("abort", () => both.abort());
  if (wanted.aborted) both.abort();
  return both.signal;
}
