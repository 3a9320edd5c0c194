// @ts-check
/** The host's commands: each one HTTP call that is safe to repeat, its error shown where it was given. */
import { post } from "../shared/api.js";
import { say } from "../shared/dom.js";
import { loginFor } from "../shared/login.js";
import { newRef } from "../shared/orders.js";

/**
 * Runs a command from a button: the button waits and says so, the error stands beside it.
 * @param {HTMLButtonElement} button
 * @param {Element} problem where an error is said
 * @param {string} doing what the button says meanwhile
 * @param {() => Promise<any>} command
 * @returns {Promise<any>} the answer, or undefined when it failed
 */
export async function run(button, problem, doing, command) {
  if (button.disabled) return undefined;
  const label = button.textContent ?? "";
  button.disabled = true;
  say(button, doing);
  say(problem, "");
  try {
    return await command();
  } catch (error) {
    const { message, status } = /** @type {import("../shared/api.js").ApiError} */ (error);
    if (status === 401) return location.assign(loginFor("/host"));
    say(problem, message);
    return undefined;
  } finally {
    button.disabled = false;
    say(button, label);
  }
}

/** Opens a drop. @param {string} drop */
export const openDrop = (drop) => post(`/api/host/drops/${encodeURIComponent(drop)}/open`);
/** Closes a drop, for good. @param {string} drop */
export const closeDrop = (drop) => post(`/api/host/drops/${encodeURIComponent(drop)}/close`);

/**
 * Restocks that were sent and not answered keep their ref, so trying again never adds the units twice.
 * A refusal is an answer; silence and a failing server are not.
 */
export class Restocks {
  /** @type {Map<string, string>} */ #refs = new Map();

  /** @param {(path: string, body: object) => Promise<any>} [send] @param {() => string} [ref] */
  constructor(send = post, ref = newRef) {
    this.send = send;
    this.ref = ref;
  }

  /**
   * Adds units to a drop's variant. Throws `ApiError`.
   * @param {string} drop
   * @param {string} variant
   * @param {number} quantity
   */
  async add(drop, variant, quantity) {
    const wish = `${drop} ${variant} ${quantity}`;
    const ref = this.#refs.get(wish) ?? this.ref();
    this.#refs.set(wish, ref);
    try {
      const answer = await this.send(`/api/host/drops/${encodeURIComponent(drop)}/restock`, { variant, quantity, ref });
      this.#refs.delete(wish);
      return answer;
    } catch (error) {
      const status = /** @type {any} */ (error).status ?? 0;
      if (status >= 400 && status < 500 && status !== 429) this.#refs.delete(wish);
      throw error;
    }
  }
}
