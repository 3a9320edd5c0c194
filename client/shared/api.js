// @ts-check
/** HTTP: JSON in and out, and one kind of error with the server's reason and sentence. */

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
 * @returns {Promise<any>} the answer's JSON, or null when it has none
 */
export async function call(method, path, body) {
  /** @type {RequestInit} */
  const init = { method, headers: { Accept: "application/json" }, signal: AbortSignal.timeout(DEADLINE_MS) };
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
    throw new ApiError(0, "unreachable", "The server cannot be reached. Check your connection and try again.");
  }
  const answer = parsed(text);
  if (response.ok) return answer;
  const { reason, detail, field } = answer?.error ?? {};
  throw new ApiError(response.status, reason ?? "internal", detail || `The server answered ${response.status}.`, field);
}

/** Reads; see `call`. @param {string} path */
export const get = (path) => call("GET", path);
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
