// @ts-check
/**
 * The stream's video: MP4, HLS where the browser plays it by itself, and hls.js, loaded only then, where it does not.
 * It starts without sound, as browsers demand; one that fails is tried again while the stream is live.
 */

const HLS = "application/vnd.apple.mpegurl";
const AGAIN_MS = [2_000, 5_000, 15_000, 30_000];

/** @param {string} address */
export function isHls(address) {
  return /\.m3u8$/i.test(new URL(address, "https://any.example").pathname);
}

/** Plays one address at a time on a `<video>`. */
export class Player {
  #wanted = "";
  #tries = 0;
  /** @type {any} */ #hls = null;
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
    video.addEventListener("error", () => video.hasAttribute("src") && this.#fail());
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
    const { video } = this;
    if (!isHls(address) || video.canPlayType(HLS)) video.src = address;
    else await this.#loadWithHls(address);
    video.play().catch(() => {}); // it says "playing" when it does, and "error" when it cannot
  }

  /** @param {string} address */
  async #loadWithHls(address) {
    /** @type {any} */
    let Hls;
    try {
      ({ default: Hls } = await import("../vendor/hls.js"));
    } catch {
      return this.#fail();
    }
    if (this.#wanted !== address) return;
    if (!Hls.isSupported()) return this.told(false, true);
    const hls = (this.#hls = new Hls({ lowLatencyMode: true, maxBufferLength: 10, backBufferLength: 10 }));
    hls.on(Hls.Events.ERROR, (/** @type {any} */ _, /** @type {any} */ error) => error.fatal && this.#fail());
    hls.loadSource(address);
    hls.attachMedia(this.video);
  }

  #fail() {
    const address = this.#wanted;
    this.#leave();
    this.told(false, true);
    const wait = AGAIN_MS[Math.min(this.#tries++, AGAIN_MS.length - 1)];
    this.#timer = setTimeout(() => this.#wanted === address && address && this.#load(address), wait);
  }

  #leave() {
    clearTimeout(this.#timer);
    this.#hls?.destroy();
    this.#hls = null;
    this.video.removeAttribute("src");
    this.video.load();
  }
}
