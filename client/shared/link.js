// @ts-check
/**
 * The socket to one stream: stays connected, keeps the position, hands on each event once and in order.
 *
 * What to do is decided by the small functions on top, which need no browser; the class only does it.
 * Clock, randomness, timers and the socket come in through `world`.
 *
 * @typedef {{epoch: string, seq: number}} Position
 * @typedef {"connecting" | "live" | "waiting" | "over"} LinkState
 * @typedef {{type: string, [field: string]: any}} Frame
 * @typedef {{frame: (frame: any) => void, state: (state: LinkState, code: number | null) => void}} Listener
 * @typedef {{open: (slug: string) => WebSocket, now: () => number, random: () => number,
 *   after: (ms: number, then: () => void) => any, cancel: (timer: any) => void}} World
 */

export const BASE_MS = 500;
export const CAP_MS = 15_000;
/** A socket that does not get as far as `welcome` in this time is given up. */
export const OPENING_MS = 10_000;
/** How long a tick may be ahead of the events before that counts as a gap. */
export const BEHIND_MS = 2_000;
/** A link that lived this long was a good one: the next wait starts short again. */
export const STABLE_MS = 10_000;

/**
 * How long to wait before attempt number `attempt` (from 0): full jitter, so a crowd comes back spread out.
 * @param {number} attempt
 * @param {number} random in 0 ≤ random < 1
 * @returns {number} ms
 */
export function backoffMs(attempt, random) {
  return random * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(attempt, 30));
}

/**
 * Whether a socket closed with `code` should be opened again: 4500–4999 say no, everything else comes back.
 * @param {number} code
 * @returns {boolean}
 */
export function comesBack(code) {
  return code < 4500 || code > 4999;
}

/**
 * How long to wait after a close. A drain already said when; 1012 and 1013 hit everybody at once, so spread wider.
 * @param {number} code
 * @param {number} attempt
 * @param {number} random in 0 ≤ random < 1
 * @param {number | null} drainLeftMs what is left of the drain's wait, or null
 * @returns {number} ms
 */
export function waitMs(code, attempt, random, drainLeftMs) {
  if (drainLeftMs !== null) return Math.max(0, drainLeftMs);
  return backoffMs(code === 1012 || code === 1013 ? Math.max(attempt, 2) : attempt, random);
}

/**
 * What an event's `seq` means to someone who knows everything up to `known`.
 * @param {number} known
 * @param {number} seq
 * @returns {"next" | "duplicate" | "gap"}
 */
export function judgeSeq(known, seq) {
  if (seq <= known) return "duplicate";
  return seq === known + 1 ? "next" : "gap";
}

/**
 * The position after a welcome; null when its `missed` leaves a hole, which must never be shown as whole.
 * @param {Position | null} known
 * @param {{position: Position, missed?: {seq: number}[]}} welcome
 * @returns {Position | null}
 */
export function positionAfter(known, welcome) {
  const { epoch, seq } = welcome.position;
  const mine = known?.epoch === epoch ? known.seq : -1;
  if (!welcome.missed) return { epoch, seq: Math.max(mine, seq) };
  if (mine < 0) return null;
  let last = mine;
  for (const event of welcome.missed) {
    const verdict = judgeSeq(last, event.seq);
    if (verdict === "gap") return null;
    if (verdict === "next") last = event.seq;
  }
  return last >= seq ? { epoch, seq: last } : null;
}

/**
 * Silence longer than this means a dead link.
 * @param {number} tickMs
 * @returns {number} ms
 */
export function deadAfterMs(tickMs) {
  return 2.5 * tickMs;
}

/** @param {string} [server] @returns {World} */
function browserWorld(server) {
  return {
    open: (slug) => {
      const at = new URL(`/ws/${encodeURIComponent(slug)}`, server ?? location.origin);
      at.protocol = at.protocol.replace("http", "ws");
      return new WebSocket(at);
    },
    now: () => Date.now(),
    random: () => Math.random(),
    after: (ms, then) => setTimeout(then, ms),
    cancel: (timer) => clearTimeout(timer),
  };
}

/** A connection to one stream that comes back by itself until it is told not to. */
export class Link {
  /** @type {LinkState} */ state = "waiting";
  /** @type {Position | null} */ position = null;
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {Map<string, any>} */ #timers = new Map();
  #attempt = 0;
  #holes = 0;
  #tickMs = 15_000;
  #heardAt = 0;
  #liveSince = 0;
  #offset = 0;
  /** @type {number | null} */ #drainUntil = null;

  /**
   * @param {string} slug
   * @param {Listener} on `frame` gets every frame once and in order; `state` every change of the link
   * @param {object} [how]
   * @param {string} [how.server] the shop's origin, when it is not this page's
   * @param {() => Promise<string | null>} [how.ticket] a fresh ticket for each connection; null: a guest
   * @param {World} [how.world]
   */
  constructor(slug, on, { server, ticket, world = browserWorld(server) } = {}) {
    this.slug = slug;
    this.on = on;
    this.world = world;
    this.ticket = ticket;
  }

  /** Connects, and watches the browser's own signs that the link may be gone or back. */
  start() {
    globalThis.addEventListener?.("online", this.check);
    globalThis.addEventListener?.("offline", this.#offline);
    globalThis.document?.addEventListener("visibilitychange", this.check);
    this.#connect();
  }

  /** Leaves for good. */
  stop() {
    globalThis.removeEventListener?.("online", this.check);
    globalThis.removeEventListener?.("offline", this.#offline);
    globalThis.document?.removeEventListener("visibilitychange", this.check);
    this.#leave();
    this.#become("over", 1000);
  }

  /**
   * Sends a frame if the link is live; says whether it was handed over (not whether it arrived).
   * @param {Frame} frame
   * @returns {boolean}
   */
  send(frame) {
    if (this.state !== "live" || this.#socket?.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Comes back at once: the viewer is somebody else now. */
  reconnect() {
    if (this.state !== "over") this.#connect();
  }

  /** The server's clock, in ms since the epoch. */
  serverNow() {
    return this.world.now() + this.#offset;
  }

  /** Looks at once whether the link still lives; a waiting one does not wait any longer. */
  check = () => {
    if (globalThis.document?.visibilityState === "hidden") return;
    if (this.state === "waiting" && this.#drainUntil === null) this.#connect();
    // Timers sleep with the tab, so the silence is measured by the clock.
    else if (this.state === "live" && this.world.now() - this.#heardAt > deadAfterMs(this.#tickMs)) this.#again(1006);
  };

  #offline = () => {
    if (this.state === "live" || this.state === "connecting") this.#again(1006);
  };

  #connect() {
    this.#leave();
    this.#drainUntil = null;
    const socket = this.world.open(this.slug);
    this.#socket = socket;
    this.#become("connecting", null);
    this.#timer("dead", OPENING_MS, () => this.#again(1006));
    const mine = (/** @type {(event: any) => void} */ then) => (/** @type {any} */ event) => {
      if (this.#socket === socket) then(event);
    };
    socket.onopen = mine(() => (this.ticket ? this.#helloWith(this.ticket, socket) : this.#hello(socket, null)));
    socket.onmessage = mine((event) => this.#hear(JSON.parse(event.data)));
    socket.onclose = mine((event) => (comesBack(event.code) ? this.#again(event.code) : this.#end(event.code)));
  }

  /** @param {() => Promise<string | null>} ask @param {WebSocket} socket */
  async #helloWith(ask, socket) {
    /** @type {string | null | undefined} */
    let ticket;
    try {
      ticket = await ask();
    } catch {
      // The next connection asks again.
    }
    if (this.#socket !== socket) return;
    if (ticket === undefined) this.#again(1006);
    else this.#hello(socket, ticket);
  }

  /** @param {WebSocket} socket @param {string | null} ticket */
  #hello(socket, ticket) {
    const known = { ...(ticket && { ticket }), ...(this.position && { position: this.position }) };
    socket.send(JSON.stringify({ type: "hello", v: 1, ...known }));
  }

  /** @param {Frame} frame */
  #hear(frame) {
    this.#heardAt = this.world.now();
    switch (frame.type) {
      case "welcome":
        return this.#welcome(frame);
      case "event":
        return this.#event(frame);
      case "tick":
        this.#clock(frame.now);
        if (frame.seq > (this.position?.seq ?? 0)) {
          // The events may still be on their way, so a tick that is ahead gets a moment.
          const seq = frame.seq;
          this.#timer("behind", BEHIND_MS, () => (this.position?.seq ?? 0) < seq && this.#hole());
        }
        break;
      case "drain":
        this.#drainUntil = this.world.now() + frame.reconnect_in_ms;
        this.#timer("drain", frame.reconnect_in_ms, () => this.#again(1012));
    }
    this.#expectLife();
    this.on.frame(frame);
  }

  /** @param {any} frame */
  #welcome(frame) {
    const position = positionAfter(this.position, frame);
    if (!position) return this.#hole();
    this.position = position;
    this.#tickMs = frame.tick_ms;
    this.#liveSince = this.world.now();
    this.#offset = frame.now - this.world.now();
    this.#expectLife();
    this.#become("live", null);
    this.on.frame(frame);
  }

  /** @param {any} frame */
  #event(frame) {
    this.#expectLife();
    if (!this.position) return;
    const verdict = judgeSeq(this.position.seq, frame.seq);
    if (verdict === "gap") return this.#hole();
    if (verdict === "duplicate") return;
    this.#holes = 0;
    this.position = { ...this.position, seq: frame.seq };
    this.on.frame(frame);
  }

  /** Comes back for what is missing; a second hole in a row asks for a whole snapshot instead. */
  #hole() {
    if (++this.#holes > 1) this.position = null;
    this.#again(1006);
  }

  /** @param {number} code */
  #again(code) {
    const now = this.world.now();
    if (this.state === "live" && now - this.#liveSince >= STABLE_MS) this.#attempt = 0;
    const drainLeft = this.#drainUntil === null ? null : this.#drainUntil - now;
    const wait = waitMs(code, this.#attempt++, this.world.random(), drainLeft);
    this.#leave();
    this.#timer("again", wait, () => this.#connect());
    this.#become("waiting", code);
  }

  /** @param {number} code */
  #end(code) {
    this.#leave();
    this.#become("over", code);
  }

  #leave() {
    for (const timer of this.#timers.values()) this.world.cancel(timer);
    this.#timers.clear();
    const socket = this.#socket;
    this.#socket = null;
    if (socket && socket.readyState < 2) socket.close(1000);
  }

  #expectLife() {
    this.#timer("dead", deadAfterMs(this.#tickMs), () => this.#again(1006));
  }

  /** @param {number} now the server's; of the differences seen on one link the largest has the least delay in it */
  #clock(now) {
    this.#offset = Math.max(this.#offset, now - this.world.now());
  }

  /** @param {string} name @param {number} ms @param {() => void} then */
  #timer(name, ms, then) {
    this.world.cancel(this.#timers.get(name));
    this.#timers.set(name, this.world.after(ms, then));
  }

  /** @param {LinkState} state @param {number | null} code */
  #become(state, code) {
    this.state = state;
    this.on.state(state, code);
  }
}
