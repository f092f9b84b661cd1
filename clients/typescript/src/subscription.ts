import type { Gap as WireGap, Member as WireMember } from "./gen/tidegate/client/v1/server_event_pb.js";
import { GapCause, Verdict } from "./gen/tidegate/client/v1/types_pb.js";
import { Emitter } from "./emitter.js";
import type { TidegateError } from "./errors.js";
import { Body } from "./payload.js";
import { Queue } from "./queue.js";

/** What a subscriber may ask for; never more than the namespace gives. */
export interface SubscribeOptions {
  /** At most so many publications per second and key, the newest ones. */
  maxPerSecond?: number;
  /** The latest publication of each key first, also where the missed ones are lost. */
  latest?: boolean;
  /** Only the newest publication of each key while this client is slow. */
  conflate?: boolean;
  /** Tell who comes and goes. */
  presence?: boolean;
  /**
   * While the page is hidden: "sampled" asks for one publication a second and key. By
   * default so where only the newest counts anyway (`latest`, `conflate` or
   * `maxPerSecond`), and "full" elsewhere.
   */
  background?: "sampled" | "full";
  /** Publications that wait for `for await`; 1024 by default. The oldest are pushed out, and a gap says so. */
  queue?: number;
  /** Unsubscribes. */
  signal?: AbortSignal;
}

/** One message of a channel. */
export class Publication extends Body {
  constructor(
    readonly channel: string,
    /** Position in the channel; zero: the channel keeps no log. */
    readonly offset: bigint,
    readonly key: string,
    payload: Uint8Array,
    /** Unix time in microseconds. */
    readonly publishedAtUs: bigint,
    /** Part of the state that the subscription began with. */
    readonly isSnapshot: boolean,
  ) {
    super(payload);
  }
}

/** Publications that never came, in their place. */
export interface Gap {
  readonly dropped: bigint;
  /** Replaced by newer ones of the same key. */
  readonly conflated: bigint;
  /** First and last offset; zero: unknown, or the channel keeps no log. */
  readonly from: bigint;
  readonly to: bigint;
  readonly cause: "slow_connection" | "gateway_overloaded" | "bus" | "sampled" | "slow_reader" | "broken_chain" | "other";
}

export type VerdictName = "fresh" | "recovered" | "resnapshot" | "lost";

/** The subscription stands, for the first time or again. */
export interface Subscribed {
  readonly verdict: VerdictName;
  readonly isFirst: boolean;
}

/** One member of a channel. */
export interface Member {
  readonly user: string;
  readonly connectionId: string;
  readonly sessionId: string;
}

export interface PresenceChange {
  readonly joined: readonly Member[];
  readonly left: readonly Member[];
  readonly sessions: bigint;
  readonly users: bigint;
  /** Those who joined are all there are. */
  readonly snapshot: boolean;
  readonly sampled: boolean;
}

/** Sent by another member of the channel. */
export class Signal extends Body {
  constructor(readonly channel: string, readonly from: Member, payload: Uint8Array) {
    super(payload);
  }
}

export interface SubscriptionEvents {
  publication: Publication;
  gap: Gap;
  subscribed: Subscribed;
  presence: PresenceChange;
  signal: Signal;
  /** For good: by `unsubscribe`, by the server, or because the client is closed. */
  unsubscribed: TidegateError | undefined;
}

const CAUSES: Record<GapCause, Gap["cause"]> = {
  [GapCause.UNSPECIFIED]: "other",
  [GapCause.SLOW_CONNECTION]: "slow_connection",
  [GapCause.GATEWAY_OVERLOADED]: "gateway_overloaded",
  [GapCause.BUS]: "bus",
  [GapCause.SAMPLED]: "sampled",
};

/** @internal */
export function gapOf({ dropped, conflated, from, to, cause }: WireGap): Gap {
  return { dropped, conflated, from, to, cause: CAUSES[cause] ?? "other" };
}

/** @internal A verdict that this version does not know promises nothing. */
export function verdictName(verdict: Verdict): VerdictName {
  if (verdict === Verdict.FRESH) return "fresh";
  if (verdict === Verdict.RECOVERED) return "recovered";
  return verdict === Verdict.RESNAPSHOT ? "resnapshot" : "lost";
}

/** @internal */
export function memberOf({ user, connectionId, sessionId }: WireMember): Member {
  return { user, connectionId, sessionId };
}

/**
 * One reader of a channel: by `for await`, which gives publications, or by events.
 * All readers of a channel share one subscription at the gateway.
 */
export class Subscription extends Emitter<SubscriptionEvents> implements AsyncIterable<Publication> {
  readonly #queue: Queue<Publication>;
  #isIterated = false;
  /** Pushed out before anybody iterated. */
  #missed: Gap | undefined;
  #isOver = false;
  #settle!: { resolve: (subscribed: Subscribed) => void; reject: (error: unknown) => void };
  /** The gateway's first answer; fails if it is no. */
  readonly ready: Promise<Subscribed>;

  /** @internal */
  constructor(
    readonly channel: string,
    private readonly most: number,
    private readonly release: (subscription: Subscription) => void,
  ) {
    super();
    this.#queue = new Queue(this.most, (publication) => this.#pushedOut(publication), () => this.unsubscribe());
    this.ready = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    // Whoever does not ask hears of it by "unsubscribed".
    this.ready.catch(() => {});
  }

  /** Ends it. The channel goes on for its other readers. */
  unsubscribe(): void {
    if (this.#isOver) return;
    this.release(this);
    this.end(undefined);
  }

  /**
   * Publications since the subscription began, unless "publication" was listened to meanwhile; ends with
   * the subscription. Breaking out of the loop unsubscribes.
   */
  [Symbol.asyncIterator](): AsyncIterator<Publication> {
    this.#isIterated = true;
    if (this.#missed) this.emit("gap", this.#missed);
    this.#missed = undefined;
    return this.#queue;
  }

  #pushedOut({ offset }: Publication): void {
    const { dropped = 0n, from = offset } = this.#missed ?? {};
    const gap: Gap = { dropped: dropped + 1n, conflated: 0n, from, to: offset, cause: "slow_reader" };
    if (this.#isIterated) this.emit("gap", gap);
    else this.#missed = gap;
  }

  /** @internal */
  deliver<Name extends keyof SubscriptionEvents>(name: Name, event: SubscriptionEvents[Name]): void {
    if (this.#isOver) return;
    const isQueued = name === "publication" && (this.#isIterated || !this.hears(name));
    if (isQueued) this.#queue.push(event as Publication);
    if (name === "subscribed") this.#settle.resolve(event as Subscribed);
    this.emit(name, event);
  }

  /** @internal */
  end(error: TidegateError | undefined): void {
    if (this.#isOver) return;
    this.deliver("unsubscribed", error);
    this.#isOver = true;
    this.#settle.reject(error ?? new Error("unsubscribed"));
    this.#queue.close();
  }
}
