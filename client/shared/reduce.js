// @ts-check
/**
 * What a page knows of a stream, folded from frames without I/O: the twin of server/domain/stream.py.
 * Law: a snapshot at n and the events n..m give the snapshot at m, whatever arrives twice.
 *
 * @typedef {{id: string, label: string, left: number, version: number}} Variant
 * @typedef {"scheduled" | "open" | "sold_out" | "closed"} DropStatus
 * @typedef {{id: string, title: string, image: string | null, price: number, currency: string, limit: number,
 *   opens_at: number | null, closes_at: number | null, variants: Variant[], status: DropStatus, product: string,
 *   list_price: number | null}} Drop
 * @typedef {{slug: string, title: string, host: string, status: "scheduled" | "live" | "ended",
 *   starts_at: number | null, video: string | null, viewers: number}} Stream
 * @typedef {{drop: string, variant: string, left: number, version: number}} StockLine
 * @typedef {{stream: Stream, drops: Drop[], seq: number, epoch?: string}} StreamState
 * @typedef {Omit<Drop, "list_price"> & {list_price?: number | null}} DropTold in events of before there was a list price
 * @typedef {{type: "event", seq: number, at: number, event: {kind: string, drop?: DropTold, stream?: Stream}}} EventFrame
 * @typedef {{type: "welcome", session: string, viewer: {id: string, name: string} | null, now: number,
 *   tick_ms: number, position: {epoch: string, seq: number}, stock: StockLine[],
 *   snapshot?: {stream: Stream, drops: Drop[]}, missed?: EventFrame[]}} Welcome
 */

/** Closed drops a state holds, the ones with the newest ids. */
const CLOSED_KEPT = 50;
const STREAM_KINDS = new Set(["stream_started", "stream_ended"]);
const DROP_KINDS = new Set(["drop_scheduled", "drop_opened", "drop_sold_out", "drop_closed"]);

/**
 * The state after a welcome: its snapshot, or the known state and what was missed; then its stock.
 * Throws when the welcome builds on a state the page does not have.
 * @param {StreamState | null} state
 * @param {Welcome} frame
 * @returns {StreamState}
 */
export function fromWelcome(state, frame) {
  const { epoch, seq } = frame.position;
  const known = state?.epoch === epoch ? state : null;
  if (!frame.snapshot) {
    if (!known) throw new Error("the welcome continues a history this page does not have");
    const caught = (frame.missed ?? []).reduce(applyEvent, known);
    return applyStock({ ...caught, seq: Math.max(caught.seq, seq) }, frame.stock);
  }
  // A replica may lag behind the one we came from: never go back in history, nor in stock.
  if (known && known.seq > seq) return applyStock(known, frame.stock);
  const fresh = { stream: frame.snapshot.stream, drops: frame.snapshot.drops, seq, epoch };
  return applyStock(applyStock(fresh, known ? linesOf(known.drops) : []), frame.stock);
}

/**
 * The state after one more event. One already contained changes nothing; a kind this page does not know
 * only moves the position on. Stock in an event never replaces stock of a newer version.
 * @param {StreamState} state
 * @param {EventFrame} frame
 * @returns {StreamState}
 */
export function applyEvent(state, { seq, event }) {
  if (seq <= state.seq) return state;
  if (event.stream && STREAM_KINDS.has(event.kind)) {
    // The viewer count is state, not history: an event tells only what it was back then.
    return { ...state, stream: { ...event.stream, viewers: state.stream.viewers }, seq };
  }
  if (event.drop && DROP_KINDS.has(event.kind)) {
    /** @type {Drop} */
    const drop = { list_price: null, ...event.drop };
    const known = state.drops.find((other) => other.id === drop.id);
    const drops = known
      ? state.drops.map((other) => (other === known ? stocked(drop, linesOf([known])) : other))
      : [...state.drops, drop];
    return { ...state, drops: kept(drops), seq };
  }
  return { ...state, seq };
}

/** Without the oldest closed drops: a show may go on for days. @param {Drop[]} drops */
function kept(drops) {
  const closed = drops.filter(({ status }) => status === "closed").map(({ id }) => id).sort();
  const gone = new Set(closed.slice(0, -CLOSED_KEPT));
  return gone.size ? drops.filter(({ id }) => !gone.has(id)) : drops;
}

/**
 * The state with newer stock; lines of an older version, or of drops not known, change nothing.
 * @param {StreamState} state
 * @param {StockLine[]} lines
 * @returns {StreamState}
 */
export function applyStock(state, lines) {
  const touched = new Set(lines.map((line) => line.drop));
  if (!state.drops.some((drop) => touched.has(drop.id))) return state;
  const drops = state.drops.map((drop) =>
    touched.has(drop.id) ? stocked(drop, lines.filter((line) => line.drop === drop.id)) : drop,
  );
  return { ...state, drops };
}

/**
 * The state with the viewer count of a tick.
 * @param {StreamState} state
 * @param {number} viewers
 * @returns {StreamState}
 */
export function withViewers(state, viewers) {
  return { ...state, stream: { ...state.stream, viewers } };
}

/**
 * The stock of drops as stock lines.
 * @param {Drop[]} drops
 * @returns {StockLine[]}
 */
export function linesOf(drops) {
  return drops.flatMap((drop) =>
    drop.variants.map(({ id, left, version }) => ({ drop: drop.id, variant: id, left, version })),
  );
}

/** @param {Drop} drop @param {StockLine[]} lines @returns {Drop} */
function stocked(drop, lines) {
  return { ...drop, variants: drop.variants.map((variant) => lines.reduce(newer, variant)) };
}

/** @param {Variant} variant @param {StockLine} line @returns {Variant} */
function newer(variant, line) {
  if (line.variant !== variant.id || line.version <= variant.version) return variant;
  return { ...variant, left: line.left, version: line.version };
}
