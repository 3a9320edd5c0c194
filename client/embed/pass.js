// @ts-check
/**
 * Who the viewer is on another site's page, where no cookie of the shop goes: a pass, which the viewer allows in a
 * pop-up on the shop's own site, and a fresh ticket made from it for each connection.
 *
 * @typedef {import("../shared/orders.js").Storage} Storage
 */

const POPUP = "popup,width=480,height=720";

/** A pass for one stream on this page's origin. */
export class Pass {
  /** @type {Window | null} */ #popup = null;

  /**
   * @param {string} server the shop's origin
   * @param {string} stream the slug
   * @param {Storage} storage keeps the pass over a reload of this tab
   * @param {() => void} arrived a pass came: connect again, as somebody
   */
  constructor(server, stream, storage, arrived) {
    this.server = server;
    this.stream = stream;
    this.storage = storage;
    this.key = `dropcast.pass.${server}.${stream}`;
    this.arrived = arrived;
  }

  /** Hears no answer any more, until it asks again. */
  close() {
    window.removeEventListener("message", this.#hear);
  }

  /**
   * A ticket for one connection; null for a guest: without a pass, or with one that has ended. Throws when the shop
   * cannot be asked now.
   * @returns {Promise<string | null>}
   */
  async ticket() {
    const pass = this.storage.getItem(this.key);
    if (!pass) return null;
    const answer = await fetch(`${this.server}/api/ticket`, {
      method: "POST",
      credentials: "omit",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ stream: this.stream, pass }),
    });
    if (answer.ok) return (await answer.json()).ticket;
    if (answer.status !== 401 && answer.status !== 403) throw new Error(`no ticket: ${answer.status}`);
    this.storage.setItem(this.key, "");
    return null;
  }

  /** Asks the viewer for a pass; must be called by a tap, or the browser opens no window. Says whether one opened. */
  ask() {
    window.addEventListener("message", this.#hear);
    const at = new URL("/embed/sign-in", this.server);
    at.search = String(new URLSearchParams({ stream: this.stream, origin: location.origin }));
    this.#popup = window.open(at, "dropcast-sign-in", POPUP);
    return this.#popup !== null;
  }

  /** @param {MessageEvent} event */
  #hear = ({ origin, source, data }) => {
    // Another window could sign the viewer in as somebody else.
    if (origin !== this.server || source !== this.#popup) return;
    if (data?.type !== "dropcast-pass" || data.stream !== this.stream || typeof data.pass !== "string") return;
    this.storage.setItem(this.key, data.pass);
    this.arrived();
  };
}
