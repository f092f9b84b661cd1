import type { Ending } from "./ending.js";
import { HELD_BACK, serverSentEvents } from "./sse.js";
import { longPolling } from "./polling.js";
import { type Dial, type Receiver, type Transport, type WebSocketClass, webSocket } from "./transport.js";
import { type Fetch, plainAddress } from "./upstream.js";

export type TransportName = "websocket" | "sse" | "polling";

/** The first wait before WebSocket is tried again, in milliseconds; each is twice the last. */
const PROBE_MS = 30_000;
const PROBE_MOST_MS = 600_000;
/** How long it may take to find out what gets through. */
const LOOK_MS = 5_000;

interface Way {
  readonly name: TransportName;
  readonly dial: Dial;
}

/** The ways that this platform has, of those that are wanted, best first. */
export function waysOf(wanted: readonly TransportName[], WebSocket: WebSocketClass | undefined, fetch: Fetch | undefined): Way[] {
  const dials: Record<TransportName, Dial | undefined> = {
    websocket: WebSocket && webSocket(WebSocket),
    sse: fetch && serverSentEvents(fetch),
    polling: fetch && longPolling(fetch),
  };
  return wanted.flatMap((name) => {
    const dial = dials[name];
    return dial ? [{ name, dial }] : [];
  });
}

/** Chooses how gateways are reached: falls back where something on the way lets less through, and moves up again. */
export class Ways {
  /** What the newest connection is carried by. */
  current: TransportName | undefined;
  #at = 0;
  #worked = new Set<TransportName>();
  #probeMs = PROBE_MS;
  #probe: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  constructor(
    private readonly ways: readonly Way[],
    private readonly fetch: Fetch | undefined,
    /** The best way is open again. */
    private readonly better: () => void,
    private readonly firstProbeMs: number = PROBE_MS,
  ) {
    this.#probeMs = firstProbeMs;
  }

  readonly dial: Dial = (url, receiver) => {
    const at = this.#at;
    const way = this.ways[at] as Way;
    let works = false;
    const watching: Receiver = {
      opened: () => receiver.opened(),
      received: (message) => {
        if (!works) this.#works(url, at);
        works = true;
        receiver.received(message);
      },
      ended: (ending) => {
        if (works) return receiver.ended(ending);
        // Whoever has just come for the first time waits for the verdict, and comes again by the right way.
        const verdict = this.#failed(url, at, ending);
        if (this.#worked.size > 0) receiver.ended(ending);
        else void verdict.then(() => receiver.ended(ending));
      },
    };
    return way.dial(url, watching);
  };

  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#probe);
  }

  #works(url: string, at: number): void {
    const { name } = this.ways[at] as Way;
    this.#worked.add(name);
    this.current = name;
    clearTimeout(this.#probe);
    if (at === 0) this.#probeMs = this.firstProbeMs;
    else this.#later(url);
  }

  async #failed(url: string, at: number, ending: Ending): Promise<void> {
    const { name } = this.ways[at] as Way;
    if (name === "websocket") {
      // A close code is a gateway's word.
      if (ending.code !== 1006 || !(await this.#plainGetsThrough(url))) return;
      if (this.#at === at && at + 1 < this.ways.length) this.#at = at + 1;
    } else {
      const isHeldBack = ending.cause === HELD_BACK && at + 1 < this.ways.length;
      this.#at = isHeldBack ? at + 1 : 0;
    }
  }

  /** Whether a gateway that serves fall-backs answers, although it had no WebSocket for us. */
  async #plainGetsThrough(url: string): Promise<boolean> {
    if (!this.fetch || this.ways.length < 2) return false;
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), LOOK_MS);
    try {
      const init = { cache: "no-store", credentials: "omit", signal: abort.signal } as const;
      const response = await this.fetch(plainAddress(url, "poll"), init);
      return ((await response.json()) as { code?: string }).code === "method_not_allowed";
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  }

  #later(url: string): void {
    if (this.#isOver) return;
    clearTimeout(this.#probe);
    this.#probe = setTimeout(() => this.#look(url), this.#probeMs * (0.75 + Math.random() / 2));
    this.#probeMs = Math.min(2 * this.#probeMs, PROBE_MOST_MS);
  }

  /** Tries whether the best way is open, without going it. */
  #look(url: string): void {
    let isDone = false;
    let transport: Transport | undefined;
    const done = (isOpen: boolean): void => {
      if (isDone) return;
      isDone = true;
      clearTimeout(timer);
      transport?.close();
      if (this.#isOver) return;
      if (!isOpen) return this.#later(url);
      this.#at = 0;
      this.better();
      // Should the move fail, it is tried again.
      this.#later(url);
    };
    const timer = setTimeout(() => done(false), LOOK_MS);
    transport = (this.ways[0] as Way).dial(url, {
      opened: () => done(true),
      received: () => {},
      ended: () => done(false),
    });
    if (isDone) transport.close();
  }
}
