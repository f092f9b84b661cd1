import { type Ending, isScheduled, verdictOf } from "./ending.js";

const BASE_MS = 200;
const CAP_MS = 20_000;
/** A connection that lived so long was a good one: the next failure is the first. */
const STABLE_AFTER_MS = 5_000;

/** Exponential back-off with full jitter, so that the clients of a gateway that died do not come back at once. */
export class Backoff {
  #failures = 0;
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Milliseconds to wait after a connection that lived for `livedMs`; the gateway's own word is a minimum. */
  after(ending: Ending, livedMs: number): number {
    if (livedMs >= STABLE_AFTER_MS) this.#failures = 0;
    if (isScheduled(ending)) return ending.retryAfterMs;
    // A second "now" in a row is not believed, or two draining gateways would
    // throw a client to and fro at full speed.
    const now = verdictOf(ending) === "resume" && this.#failures === 0;
    const most = now ? 0 : Math.min(CAP_MS, BASE_MS * 2 ** Math.min(this.#failures, 16));
    this.#failures += 1;
    return Math.max(most * this.#random(), ending.retryAfterMs);
  }
}
