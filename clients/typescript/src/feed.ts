import { create } from "@bufbuild/protobuf";
import { type Gap as WireGap, type PresenceChange as WireChange, type Publication as WirePublication, type Subscribed as WireSubscribed, type Signalled, MemberSchema } from "./gen/tidegate/client/v1/server_event_pb.js";
import { Verdict } from "./gen/tidegate/client/v1/types_pb.js";
import { Chain } from "./chain.js";
import type { TidegateError } from "./errors.js";
import { Overlap } from "./overlap.js";
import { type SubscribeOptions, type Subscribed, Publication, Signal, type Subscription, type SubscriptionEvents, gapOf, memberOf, verdictName } from "./subscription.js";

/** Which of two connections, while the client moves. */
export type Side = "old" | "new";

/** How many publications a second and key a hidden page asks for. */
const IN_BACKGROUND = 1;

/** One channel at the gateway, and its readers. */
export class Feed {
  readonly readers = new Set<Subscription>();
  #chain = new Chain();
  #overlap: Overlap | undefined;
  #subscribed: Subscribed | undefined;
  #wasSubscribed = false;
  #isHidden = false;

  constructor(readonly channel: string, readonly options: SubscribeOptions) {}

  /** The verdict that it stands on; undefined: the gateway has not answered yet. */
  get subscribed(): Subscribed | undefined {
    return this.#subscribed;
  }

  /** The position to ask for. */
  position(): { epoch: string; offset: bigint } | undefined {
    return this.#chain.position();
  }

  /** What to ask the gateway for at the moment. */
  wished(): { maxPerSecond: number; latest: boolean; conflate: boolean; presence: boolean } {
    const { maxPerSecond = 0, latest = false, conflate = false, presence = false } = this.options;
    const isSampled = this.#isHidden && this.background() === "sampled";
    const most = isSampled ? Math.min(maxPerSecond || IN_BACKGROUND, IN_BACKGROUND) : maxPerSecond;
    return { maxPerSecond: most, latest, conflate, presence };
  }

  background(): "sampled" | "full" {
    const { background, latest, conflate, maxPerSecond } = this.options;
    return background ?? (latest || conflate || maxPerSecond ? "sampled" : "full");
  }

  /** The page is hidden or seen again; whether the gateway should hear of it. */
  setHidden(isHidden: boolean): boolean {
    const before = this.wished().maxPerSecond;
    this.#isHidden = isHidden;
    if (this.wished().maxPerSecond === before) return false;
    this.expectLess();
    return true;
  }

  expectLess(): void {
    const { maxPerSecond, conflate } = this.wished();
    this.#chain.expectLess(maxPerSecond > 0 || conflate);
  }

  /** Answer to a change of options. */
  changed(answer: WireSubscribed): void {
    this.#chain.expectGapless(!answer.conflates);
    this.expectLess();
  }

  /** Another connection is about to bring the same. */
  beginOverlap(): void {
    this.#overlap ??= new Overlap();
  }

  endOverlap(): void {
    this.#overlap = undefined;
  }

  /** The gateway agreed. */
  subscribedOn(answer: WireSubscribed): void {
    const continues = answer.verdict === Verdict.RECOVERED || (!this.#chain.hasLog() && !answer.position?.epoch);
    const isQuiet = this.#overlap !== undefined && continues && this.#wasSubscribed;
    if (this.#overlap && !continues) this.#overlap.ignoresOld = true;
    this.#chain.subscribed(answer.verdict, answer.position);
    this.changed(answer);
    // While both connections bring a channel it goes on without a break.
    if (isQuiet) return;
    this.#subscribed = { verdict: verdictName(answer.verdict), isFirst: !this.#wasSubscribed };
    this.#wasSubscribed = true;
    this.tell("subscribed", this.#subscribed);
  }

  publication(side: Side, { offset, previous, key, payload, publishedAtUs }: WirePublication): void {
    const overlap = this.#overlap;
    if (overlap) {
      if (overlap.ignoresOld && side === "old") return;
      if (offset === 0n && overlap.repeats(side, key, payload, publishedAtUs)) return;
      if (offset !== 0n && key !== "" && overlap.repeatsKey(key, offset)) return;
    }
    const fit = this.#chain.next(offset, previous, key !== "");
    if (fit === "duplicate") return;
    if (typeof fit === "object") this.tell("gap", { dropped: 0n, conflated: 0n, ...fit, cause: "broken_chain" });
    this.tell("publication", new Publication(this.channel, offset, key, payload, publishedAtUs, fit === "snapshot"));
  }

  gap(side: Side, gap: WireGap): void {
    // The new connection brings all of it from where the old one stood.
    if (this.#overlap && side === "old" && this.#chain.hasLog()) return;
    this.#chain.reported(gap.to);
    this.tell("gap", gapOf(gap));
  }

  presence(change: WireChange): void {
    const { sessions, users, snapshot, sampled } = change;
    const [joined, left] = [change.joined.map(memberOf), change.left.map(memberOf)];
    this.tell("presence", { joined, left, sessions, users, snapshot, sampled });
  }

  signalled({ from, payload }: Signalled): void {
    this.tell("signal", new Signal(this.channel, memberOf(from ?? create(MemberSchema)), payload));
  }

  end(error: TidegateError | undefined): void {
    for (const reader of [...this.readers]) reader.end(error);
    this.readers.clear();
  }

  tell<Name extends keyof SubscriptionEvents>(name: Name, event: SubscriptionEvents[Name]): void {
    for (const reader of [...this.readers]) reader.deliver(name, event);
  }
}
