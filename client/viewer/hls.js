// @ts-check
/** HLS by hls.js. Loaded only where it is needed: the library is larger than all other scripts of the page together. */
import Hls from "../vendor/hls.js";

/** Little is kept on either side, for it is watched as it happens; who fell behind by ten segments is brought to now. */
const CONFIG = {
  lowLatencyMode: true,
  maxBufferLength: 10,
  backBufferLength: 10,
  liveSyncDurationCount: 3,
  liveMaxLatencyDurationCount: 10,
  capLevelToPlayerSize: true,
  workerPath: new URL("../vendor/hls.worker.js", import.meta.url).href,
};
/** A picture that does not move so long after it was mended is given up. */
const MENDED_WITHIN_MS = 5_000;

/** Whether this browser can. */
export const isSupported = () => Hls.isSupported();

/** One playlist on a `<video>`, until it fails or is left. */
export class HlsVideo {
  #hls = new Hls(CONFIG);
  #mended = false;
  /** @type {any} */ #timer;

  /**
   * @param {string} address
   * @param {HTMLVideoElement} video
   * @param {() => void} failed it plays no more; leave it
   */
  constructor(address, video, failed) {
    this.video = video;
    this.failed = failed;
    this.#hls.on(Hls.Events.ERROR, (_, { fatal, type }) => {
      if (!fatal) return;
      if (type === Hls.ErrorTypes.MEDIA_ERROR) this.mend();
      else this.failed();
    });
    video.addEventListener("playing", this.#plays);
    this.#hls.loadSource(address);
    this.#hls.attachMedia(video);
  }

  /** The browser could not show what it was given: begins anew where it was. It helps once or not at all. */
  mend() {
    if (this.#mended) return this.failed();
    this.#mended = true;
    this.#timer = setTimeout(this.failed, MENDED_WITHIN_MS);
    this.#hls.recoverMediaError();
    this.video.play().catch(() => {});
  }

  /** Lets go of the video. */
  leave() {
    clearTimeout(this.#timer);
    this.video.removeEventListener("playing", this.#plays);
    this.#hls.destroy();
  }

  #plays = () => clearTimeout(this.#timer);
}
