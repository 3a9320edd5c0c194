// @ts-check
/**
 * The stream's video: MP4, HLS where the browser plays it well by itself, and hls.js, loaded only then, where it does not.
 * It starts without sound, as browsers demand; one that fails is tried again for as long as it is wanted.
 *
 * @typedef {InstanceType<typeof import("../vendor/hls.js").default>} Hls
 */

const HLS = "application/vnd.apple.mpegurl";
const AGAIN_MS = [2_000, 5_000, 15_000, 30_000];
/** A picture that does not move so long after hls.js was told to recover is given up. */
const RECOVER_WITHIN_MS = 5_000;
/** Little is kept on either side, for it is watched as it happens; who fell behind by ten segments is brought to now. */
const HLS_CONFIG = {
  lowLatencyMode: true,
  maxBufferLength: 10,
  backBufferLength: 10,
  liveSyncDurationCount: 3,
  liveMaxLatencyDurationCount: 10,
  capLevelToPlayerSize: true,
  workerPath: new URL("../vendor/hls.worker.js", import.meta.url).href,
};

/** @param {string} address */
export function isHls(address) {
  return /\.m3u8$/i.test(new URL(address, "https://any.example").pathname);
}

/**
 * Whether HLS is better left to the browser: to Safari. Chrome says "maybe" as well, and with some streams stops after a
 * few pictures without an error (hls.js, issue 7827); Safari is told by the media source that it alone has, or, before
 * that, by an iPhone that has none.
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
  /** @type {Hls | null} */ #hls = null;
  /** Whether hls.js has put its media source in anew; it helps once or not at all. */ #recovered = false;
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
      clearTimeout(this.#timer);
      told(true, false);
    });
    video.addEventListener("loadedmetadata", () => {
      video.dataset.shape = video.videoHeight > video.videoWidth ? "portrait" : "landscape";
    });
    video.addEventListener("error", () => {
      if (this.#hls) this.#recover();
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
    const found = await import("../vendor/hls.js").catch(() => null);
    if (this.#begun !== begun) return;
    const Hls = found?.default;
    if (!Hls?.isSupported()) {
      this.video.src = address; // it may know HLS after all, or says that it does not
      return;
    }
    const hls = (this.#hls = new Hls(HLS_CONFIG));
    hls.on(Hls.Events.ERROR, (_, { fatal, type }) => {
      if (!fatal || this.#hls !== hls) return;
      if (type === Hls.ErrorTypes.MEDIA_ERROR) this.#recover();
      else this.#fail();
    });
    hls.loadSource(address);
    hls.attachMedia(this.video);
  }

  #play() {
    this.video.play().catch(() => {}); // it says "playing" when it does, and "error" when it cannot
  }

  #goOn() {
    const { video } = this;
    if (this.#wanted && video.hasAttribute("src") && video.paused && !video.ended) this.#play();
  }

  /** The browser could not show what hls.js gave it: hls.js begins anew where it was. */
  #recover() {
    if (this.#recovered) return this.#fail();
    this.#recovered = true;
    this.#timer = setTimeout(() => this.#fail(), RECOVER_WITHIN_MS);
    this.#hls?.recoverMediaError();
    this.#play();
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
    this.#hls?.destroy();
    this.#hls = null;
    this.#recovered = false;
    this.video.removeAttribute("src");
    this.video.load();
  }
}
