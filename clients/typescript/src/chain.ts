import type { Position } from "./gen/tidegate/client/v1/types_pb.js";
import { Verdict } from "./gen/tidegate/client/v1/types_pb.js";

/** How a publication fits: `broken` names the offsets that never came. */
export type Fit = "in_order" | "snapshot" | "duplicate" | { readonly from: bigint; readonly to: bigint };

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/** What is held of one channel: each publication names the offset before it. Mirrors the Rust SDK's chain. */
export class Chain {
  #epoch = "";
  /** Offset of the newest publication seen; undefined: the channel keeps no log, as far as is known. */
  #last: bigint | undefined;
  /** Up to here the gateway itself has reported what is missing. */
  #reportedTo = 0n;
  /** Up to here publications are a snapshot, not a chain. */
  #snapshotTo = 0n;
  #isPartial = false;
  /** "yet": not until the next one that joins, because less was asked for before. */
  #joints: "tight" | "loose" | "yet" = "tight";
  #conflates = false;

  /** What to ask for when subscribing again: of a state of which a part is missing nothing can go on. */
  position(): { epoch: string; offset: bigint } | undefined {
    if (this.#last === undefined || this.#isPartial) return undefined;
    return { epoch: this.#epoch, offset: this.held() };
  }

  hasLog(): boolean {
    return this.#last !== undefined;
  }

  /** Up to here everything was delivered or reported. */
  held(): bigint {
    return max(this.#last ?? 0n, this.#reportedTo);
  }

  /** Begins anew, or goes on where it was if everything missed will follow. */
  subscribed(verdict: Verdict, position: Position | undefined): void {
    const epoch = position?.epoch ?? "";
    const offset = position?.offset ?? 0n;
    if (verdict === Verdict.RECOVERED && this.#last !== undefined) {
      this.#last = this.held();
      this.#snapshotTo = 0n;
      this.#isPartial = false;
    } else {
      this.#last = epoch === "" ? undefined : offset;
      this.#snapshotTo = offset;
      this.#isPartial = verdict === Verdict.RESNAPSHOT && offset !== 0n;
    }
    this.#reportedTo = 0n;
    this.#epoch = epoch;
  }

  /** Whether the gateway gives all that is published. */
  expectGapless(isGapless: boolean): void {
    this.#conflates = !isGapless;
    this.#joints = isGapless ? "tight" : "loose";
  }

  /** The client asks for less than all, or for all again. */
  expectLess(less: boolean): void {
    if (less || this.#conflates) this.#joints = "loose";
    else if (this.#joints !== "tight") this.#joints = "yet";
  }

  /** Takes note of what the gateway says it withheld. */
  reported(to: bigint): void {
    this.#reportedTo = max(this.#reportedTo, to);
  }

  next(offset: bigint, previous: bigint, keyed: boolean): Fit {
    if (offset === 0n) return "in_order";
    this.#isPartial &&= offset < this.#snapshotTo;
    if (offset <= this.#snapshotTo) return "snapshot";
    this.#snapshotTo = 0n;
    const last = this.#last;
    if (last === undefined) {
      this.#last = offset;
      return "in_order";
    }
    // Channels that conflate deliver the values of different keys in any order,
    // so an old offset with a key may well be news.
    if (offset <= last) return keyed ? "in_order" : "duplicate";
    this.#last = offset;
    const held = max(last, this.#reportedTo);
    if (previous > held && this.#joints === "tight") return { from: held + 1n, to: previous };
    if (previous <= held && this.#joints === "yet") this.#joints = "tight";
    return "in_order";
  }
}
