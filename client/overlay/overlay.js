// @ts-check
/**
 * `<dropcast-overlay stream="slug">`: drops, stock and buying over a video; fills the nearest positioned element.
 *
 * Frames change the `Show`; whatever changes asks for one paint in the next animation frame. Events for the page:
 * `change` (the show is another), `drop` (`{drop, kind}`), `order` (`{receipt, drop, quantity}`); all bubble.
 *
 * Slots: `start` and `end` of the bar, `tabs` beside its buttons, `quiet` where no drop is to be shown.
 */
import { make, say } from "../shared/dom.js";
import { money } from "../shared/format.js";
import { Show, tabStorage } from "../shared/show.js";
import { t } from "../shared/texts.js";
import { Announcer, dropNews } from "./announce.js";
import { cardOf, mostOf, phaseOf, pinned, refusal, YOURS_MS } from "./card.js";
import { frame } from "./frame.js";
import { paintBar, paintCard, paintQuiet, quietWords } from "./paint.js";
import { Sheet } from "./sheet.js";
import { Wish } from "./wish.js";

/** After the card turned to another drop, Buy waits this long: a tap meant for the old one must not buy the new. */
const TURN_MS = 600;
/** The card does not turn by itself while the viewer's hand was on it this recently. */
const HANDS_MS = 3_000;
/** How long the card says what happened while the viewer was away. */
const AWAY_MS = 8_000;
const STYLES = ["../shared/tokens.css", "./overlay.css"];

/** @typedef {import("../shared/reduce.js").StreamState} State */
/** @typedef {{drop: string, variant: string, quantity: number}} Choice */

/** The overlay of one stream. It begins when it has a `stream` and is in a page; its properties count from then on. */
export class DropcastOverlay extends HTMLElement {
  /** @type {Show} there once the element is in a page */ show;
  /** Fresh tickets for a page that the shop's cookie does not reach. @type {(() => Promise<string | null>) | undefined} */ ticket;
  /** The viewer's earlier orders of this stream, newest first. @type {() => Promise<import("./sheet.js").Bought[]>} */
  history = async () => [];
  /** Why there is nothing to be shown, as a title and a sentence. @type {[string, string] | null} */ excuse = null;
  /** Leads to signing in, and back to this choice. @type {(choice: Choice) => void} */ signIn = () => {};

  /** @type {ShadowRoot} */ #root;
  /** @type {Announcer} */ #announcer;
  /** @type {Wish} */ #wish;
  /** @type {Choice} */ #choice = { drop: "", variant: "", quantity: 1 };
  /** @type {Choice | null} what the viewer had chosen before they left to sign in */ #before = null;
  /** @type {string | null} the drop the viewer picked in the sheet */ #picked = null;
  /** @type {string | null} the drop that opened last */ #opened = null;
  /** @type {string | null} a drop that opened and waits until the viewer's hand is off the card */ #comingUp = null;
  /** @type {import("./card.js").Step | null} where the wish stood when it was last told */ #told = null;
  #turnedAt = -Infinity;
  #touchedAt = -Infinity;
  #painting = false;
  /** @type {import("./card.js").Action | null} what the button does, as painted */ #action = null;
  /** @type {any} */ #wakeUp;
  /** @type {any} */ #noticeEnds;
  /** @type {Sheet} */ #sheet;

  /** The shop's origin. */
  get server() {
    return this.getAttribute("server") ?? new URL(import.meta.url).origin;
  }

  connectedCallback() {
    const stream = this.getAttribute("stream");
    if (this.show) this.show.start();
    else if (stream) this.begin(stream);
  }

  /** Begins, for a page that sets properties first and has put the element in without a `stream`. @param {string} stream */
  begin(stream) {
    this.#root = this.attachShadow({ mode: "open" });
    const body = make("div", { className: "overlay", hidden: true }, ...frame());
    const styles = STYLES.map((path) => make("link", { rel: "stylesheet", href: new URL(path, import.meta.url).href }));
    this.#root.append(...styles, body);
    const ready = styles.map((link) => new Promise((done) => (link.onload = link.onerror = done)));
    Promise.all(ready).then(() => (body.hidden = false));
    this.#announcer = new Announcer(this.#$("status"));
    this.#wish = new Wish({ send: () => this.show.buy(this.#choice), changed: () => this.#soon() });
    this.#sheet = new Sheet(this.#$, { changed: () => this.#soon(), resolve: this.#resolve, history: () => this.history() });
    this.show = new Show(stream, { server: this.server, ticket: this.ticket });
    this.#listen();
    this.#touchAndTap();
    this.show.start();
    this.#soon();
  }

  disconnectedCallback() {
    this.show?.stop();
  }

  /** Shows this drop, with this choice made, as soon as it is known. @param {Choice} choice */
  pick(choice) {
    this.#before = choice;
    this.#picked = choice.drop;
    this.#touched();
    this.#soon();
  }

  // What the show tells

  #listen() {
    const on = (/** @type {string} */ name, /** @type {(detail: any) => void} */ then) =>
      this.show.addEventListener(name, (event) => then(/** @type {CustomEvent} */ (event).detail));
    on("change", (before) => {
      if (before && this.show.state) this.#tellStock(before, this.show.state);
      this.#tell("change", null);
      this.#soon();
    });
    on("drop", (news) => {
      if (news.kind === "opened") this.#notice(news.drop);
      this.#tell("drop", news);
    });
    on("receipt", ({ receipt, entry }) => this.#receipt(receipt, entry));
    on("away", (news) => this.#back(news));
  }

  /** @param {string} name @param {any} detail */
  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  /** @param {import("../shared/orders.js").Receipt} receipt @param {import("../shared/orders.js").Entry} entry */
  #receipt(receipt, entry) {
    const drop = this.show.state?.drops.find((other) => other.id === entry.drop);
    const left = drop?.variants.find((variant) => variant.id === entry.variant)?.left ?? 0;
    const title = drop?.title ?? t("card.your_order");
    if (receipt.status === "accepted" && receipt.order) {
      const { order, quantity = entry.quantity, total = 0, currency = "USD" } = receipt;
      const bought = { id: order, drop: entry.drop, title, quantity, total, currency, at: this.show.now() };
      this.#sheet.add(bought);
    }
    const accepted = receipt.status === "accepted";
    const words = accepted ? t("card.is_yours") : refusal(receipt.reason ?? "internal", entry.quantity, left);
    this.#announcer.receipt(`${title}: ${words}`);
    this.#tell("order", { receipt, drop: entry.drop, quantity: entry.quantity });
    setTimeout(() => this.#soon(), YOURS_MS + 50);
  }

  /** @param {import("./card.js").Drop} drop */
  #notice(drop) {
    // One that opened while the viewer was away may have gone again.
    if (this.show.state?.drops.find(({ id }) => id === drop.id)?.status !== "open") return;
    if (drop.id !== this.#opened) {
      this.#announcer.stock(t("card.is_open", { title: drop.title, price: money(drop.price, drop.currency) }));
    }
    this.#comingUp = drop.id;
    this.#turnWhenFree();
  }

  /** Whether the viewer is busy with the drop that is shown. */
  get #inHand() {
    const { orders } = this.show;
    const sending = orders.of(this.#choice.drop)?.state === "sending";
    const answered = this.show.now() - (orders.outcome(this.#choice.drop)?.at ?? 0) < YOURS_MS;
    return sending || answered || this.#wish.step !== null || performance.now() - this.#touchedAt < HANDS_MS;
  }

  /** Turns to the drop that opened, but never under the viewer's hand or an order on its way. */
  #turnWhenFree() {
    if (!this.#comingUp) return;
    if (this.#inHand) {
      setTimeout(() => this.#turnWhenFree(), 500);
      return;
    }
    this.#opened = this.#comingUp;
    this.#comingUp = this.#picked = null;
    this.#soon();
  }

  /** @param {State} before @param {State} after */
  #tellStock(before, after) {
    const shown = (/** @type {State} */ one) => one.drops.find((drop) => drop.id === this.#choice.drop);
    const news = dropNews(shown(before), shown(after), this.#choice.variant);
    if (news) this.#announcer.stock(news);
  }

  /** Back after a lost link. @param {{opened: number, gone: number}} news */
  #back({ opened, gone }) {
    const words = [opened && t("away.opened", { n: opened }), gone && t("away.gone", { n: gone })].filter(Boolean);
    if (!words.length) return;
    const notice = this.#$("notice");
    say(notice, `${t("away.title")} ${words.join(" · ")}`);
    notice.hidden = false;
    this.#announcer.stock(notice.textContent);
    clearTimeout(this.#noticeEnds);
    this.#noticeEnds = setTimeout(() => (notice.hidden = true), AWAY_MS);
  }

  // Painting

  #soon() {
    if (this.#painting) return;
    this.#painting = true;
    requestAnimationFrame(() => {
      this.#painting = false;
      const had = this.#root.activeElement;
      this.#paint();
      if (had && (!had.isConnected || had.closest("[hidden]"))) this.#takeFocus();
    });
  }

  /** What had the focus went away: it goes to what is done next. */
  #takeFocus() {
    this.#$(this.#sheet.which ? "sheet-title" : this.#$("card").hidden ? "open-orders" : "buy").focus();
  }

  #paint() {
    const { state, link, signedIn, closeCode } = this.show;
    const [$, now] = [this.#$, this.show.now()];
    const drops = state?.drops ?? [];
    const drop = pinned(drops, this.#picked ?? (this.#inHand ? this.#choice.drop : null), this.#opened, now);
    $("card").hidden = !drop;
    $("quiet").hidden = Boolean(drop);
    paintBar($, state?.stream ?? null, link.state);
    say($("open-orders"), signedIn === false ? t("overlay.sign_in") : t("overlay.my_orders"));
    $("open-drops").hidden = drops.length < 2;
    say($("open-drops"), t("overlay.all_drops", { n: drops.length }));
    this.#sheet.paint(drops, now, link.state === "live");
    if (!state || !drop) return paintQuiet($, this.excuse ?? quietWords(state?.stream ?? null, link.state, closeCode));
    this.#turnTo(drop, now);
    const card = this.#decide(drop, now, state.stream.status === "ended" || closeCode === 4503);
    paintCard($, drop, card, this.#choice, {
      waiting: performance.now() - this.#turnedAt < TURN_MS || !this.#wish.ready,
      resolve: this.#resolve,
    });
    this.#action = card.button.action;
    if (this.#wish.step && this.#wish.step !== this.#told) this.#announcer.receipt(card.message);
    this.#told = this.#wish.step;
    this.#paintAgainWhenTimeChanges(drops, now, card.clock !== null);
  }

  /** @param {import("./card.js").Drop} drop @param {number} now @param {boolean} ended */
  #decide(drop, now, ended) {
    const { orders, link, signedIn } = this.show;
    const entry = orders.of(drop.id);
    if (entry && entry.state !== "retry") {
      this.#choice = { drop: drop.id, variant: entry.variant, quantity: entry.quantity };
    }
    const bought = orders.bought(drop.id);
    const most = mostOf(drop, this.#choice.variant, bought);
    if (!entry && this.#choice.quantity > most) {
      this.#wish.stop(); // it was asked for more than this
      this.#choice.quantity = most;
    }
    const sight = () => ({
      ...this.#choice, drop, link: link.state, signedIn, ended, entry, outcome: orders.outcome(drop.id), bought, now,
      step: this.#wish.step,
    });
    const card = cardOf(sight());
    if (!this.#wish.waits || card.back) return card;
    if (card.phase !== "open" || card.left === 0) this.#wish.stop();
    else this.#wish.takeBack();
    return cardOf(sight());
  }

  /** @param {import("./card.js").Drop} drop @param {number} now */
  #turnTo(drop, now) {
    if (phaseOf(drop, now) === "open") this.#opened ??= drop.id;
    if (this.#choice.drop === drop.id) return;
    if (this.#choice.drop) {
      this.#turnedAt = performance.now();
      setTimeout(() => this.#soon(), TURN_MS + 20);
    }
    this.#wish.forget();
    const first = drop.variants.find((variant) => variant.left > 0) ?? drop.variants[0];
    this.#choice = { drop: drop.id, variant: first?.id ?? "", quantity: 1 };
    if (this.#before?.drop === drop.id) {
      const { variant, quantity } = this.#before;
      if (drop.variants.some(({ id }) => id === variant)) this.#choice = { drop: drop.id, variant, quantity };
      this.#before = null;
    }
    const card = this.#$("card");
    card.classList.remove("enter");
    void card.offsetWidth; // lets the entrance play again
    card.classList.add("enter");
  }

  /**
   * Opening and closing times, and a clock that runs down, need no frame to change.
   * @param {import("./card.js").Drop[]} drops @param {number} now @param {boolean} ticking
   */
  #paintAgainWhenTimeChanges(drops, now, ticking) {
    const ahead = drops.flatMap((drop) => [drop.opens_at ?? 0, drop.closes_at ?? 0]).filter((at) => at > now);
    clearTimeout(this.#wakeUp);
    if (!ahead.length) return;
    const next = Math.min(...ahead) - now;
    this.#wakeUp = setTimeout(() => this.#soon(), ticking ? (next % 1000) + 20 : Math.min(next + 20, 60_000));
  }

  // What the viewer does

  #touchAndTap() {
    const $ = this.#$;
    for (const kind of ["pointerdown", "keydown"]) $("card").addEventListener(kind, () => this.#touched());
    $("buy").addEventListener("click", () => this.#press());
    $("back").addEventListener("click", () => this.#wish.ready && this.#wish.takeBack());
    $("less").addEventListener("click", () => this.#step("less", -1));
    $("more").addEventListener("click", () => this.#step("more", 1));
    $("variants").addEventListener("change", (/** @type {any} */ event) => {
      this.#choice.variant = event.target.value;
      this.#soon();
    });
    $("open-drops").addEventListener("click", () => this.#sheet.open("drops"));
    $("open-orders").addEventListener("click", () =>
      this.show.signedIn === false ? this.signIn(this.#choice) : this.#sheet.open("orders"));
    for (const id of ["close-sheet", "behind"]) $(id).addEventListener("click", () => this.#sheet.close());
    $("sheet").addEventListener("click", (/** @type {any} */ event) => {
      const row = event.target.closest("[data-drop]");
      if (!row) return;
      this.#picked = row.dataset.drop;
      this.#sheet.close();
    });
    this.#root.addEventListener("keydown", (/** @type {any} */ event) => {
      if (event.key !== "Escape") return;
      if (this.#sheet.which) this.#sheet.close();
      else this.#wish.takeBack();
    });
  }

  #touched() {
    this.#touchedAt = performance.now();
    setTimeout(() => this.#soon(), HANDS_MS + 20);
  }

  /** @param {string} id @param {number} by */
  #step(id, by) {
    if (this.#$(id).getAttribute("aria-disabled")) return;
    this.#choice.quantity += by;
    this.#announcer.stock(`${t("card.quantity")}: ${this.#choice.quantity}`);
    this.#soon();
  }

  #press() {
    this.#touched();
    if (this.#$("buy").getAttribute("aria-disabled")) return;
    switch (this.#action) {
      case "login":
        return this.signIn(this.#choice);
      case "buy":
        this.#wish.begin(this.#confirmed);
        break;
      case "confirm":
      case "send":
        if (this.#wish.affirm()) this.#confirm();
        break;
      case "retry":
        this.show.retry(this.#choice.drop);
    }
    this.#action = null; // until painted again
    this.#soon();
  }

  get #confirmed() {
    return tabStorage().getItem("dropcast.confirmed") === this.show.viewer?.id;
  }

  #confirm() {
    try {
      tabStorage().setItem("dropcast.confirmed", this.show.viewer?.id ?? "");
    } catch {
      // It costs another confirmation.
    }
  }

  /** @param {string} id @returns {any} */
  #$ = (id) => this.#root.getElementById(id);

  /** @param {string | null} path */
  #resolve = (path) => path && new URL(path, this.server).href;
}
