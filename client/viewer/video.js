// @ts-check
/**
 * The stream's video: MP4, HLS where the browser plays it well by itself, and hls.js, loaded only then, where it does not.
 * It starts without sound, as browsers demand; one that fails is tried again for as long as it is wanted.
 */

const HLS = "application/vnd.apple.mpegurl";
const AGAIN_MS = [2_000, 5_000, 15_000, 30_000];

/** @param {string} address */
export function isHls(address) {
  return /\.m3u8$/i.test(new URL(address, "https://any.example").pathname);
}

/**
 * Whether HLS is better left to the browser: to Safari. Chrome says "maybe" as well, and with some streams stops after a
 * few pictures without an error, as hls.js's own README warns. Safari is told by the media source that it alone has or,
 * before that, by an iPhone's having none.
 * @param {HTMLVideoElement} video
 */
export function playsHls(video) {
  return Boolean(video.canPlayType(HLS)) && ("ManagedMediaSource" in globalThis || !("MediaSource" in globalThis));
}

/**
 * How long to wait before try number `tries` (from 0) comes again: spread out, because a crowd fails together.
 * @param {number} tries
 * @param {number} random in 0 ≤ random < 1
 * @returns {number} ms
 */
export function againMs(tries, random) {
  return (AGAIN_MS[Math.min(tries, AGAIN_MS.length - 1)] ?? 0) * (0.5 + random);
}

/** Plays one address at a time on a `<video>`. */
export class Player {
  #wanted = "";
  #tries = 0;
  /** @type {import("./hls.js").HlsVideo | null} */ #hls = null;
  /** Counts what was begun, so that what was left meanwhile ends by itself. */ #begun = 0;
  /** @type {any} */ #timer;

  /**
   * @param {HTMLVideoElement} video
   * @param {(playing: boolean, failed: boolean) => void} told whether a picture moves, and whether that was given up for now
   */
  constructor(video, told) {
    this.video = video;
    this.told = told;
    video.addEventListener("playing", () => {
      this.#tries = 0;
      told(true, false);
    });
    video.addEventListener("loadedmetadata", () => {
      video.dataset.shape = video.videoHeight > video.videoWidth ? "portrait" : "landscape";
    });
    video.addEventListener("error", () => {
      if (this.#hls) this.#hls.mend();
      else if (video.hasAttribute("src")) this.#fail();
    });
    // A phone that was locked comes back with its video paused, and one that saves power asks for a tap first.
    document.addEventListener("visibilitychange", () => document.hidden || this.#goOn());
    document.addEventListener("click", () => this.#goOn());
  }

  /** Shows this address, or nothing. @param {string | null} address */
  show(address) {
    if (this.#wanted === (address ?? "")) return;
    this.#wanted = address ?? "";
    this.#tries = 0;
    this.#leave();
    if (address) this.#load(address);
    else this.told(false, false);
  }

  /** @param {string} address */
  async #load(address) {
    if (!isHls(address) || playsHls(this.video)) this.video.src = address;
    else await this.#loadWithHls(address, ++this.#begun);
    this.#play();
  }

  /** @param {string} address @param {number} begun */
  async #loadWithHls(address, begun) {
    const found = await import("./hls.js").catch(() => null);
    if (this.#begun !== begun) return;
    if (found?.isSupported()) this.#hls = new found.HlsVideo(address, this.video, () => this.#fail());
    else this.video.src = address; // the browser may play it after all, or says that it does not
  }

  #play() {
    this.video.play().catch(() => {}); // it says "playing" when it does, and "error" when it cannot
  }

  #goOn() {
    const { video } = this;
    if (this.#wanted && video.hasAttribute("src") && video.paused && !video.ended) this.#play();
  }

  #fail() {
    const address = this.#wanted;
    this.#leave();
    this.told(false, true);
    this.#timer = setTimeout(() => this.#load(address), againMs(this.#tries++, Math.random()));
  }

  #leave() {
    this.#begun++;
    clearTimeout(this.#timer);
    this.#hls?.leave();
    this.#hls = null;
    this.video.removeAttribute("src");
    this.video.load();
  }
}
