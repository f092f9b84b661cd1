import type { Direct as WireDirect } from "./gen/tidegate/client/v1/server_event_pb.js";
import { Chain } from "./chain.js";
import type { Line } from "./line.js";
import { Body } from "./payload.js";

/** A message to this user, session or connection. */
export class Direct extends Body {
  constructor(
    /** Position in the user's mailbox; zero: not durable. */
    readonly offset: bigint,
    payload: Uint8Array,
    /** @internal */
    readonly confirm: () => void,
  ) {
    super(payload);
  }
}

/** Messages of the mailbox that never came. */
export interface DirectGap {
  readonly from: bigint;
  readonly to: bigint;
}

/** What this client has of the user's mailbox, and what it has confirmed. */
export class Mailbox {
  #chain = new Chain();
  #held = 0n;
  #confirmed = 0n;
  #pending: { line: Line; ackId: bigint } | undefined;
  #isAsked = false;

  /** Offset of the last durable message that was handed over. */
  get held(): bigint {
    return this.#held;
  }

  /** Undefined if it came before; a gap if others should have come before it. */
  next(line: Line, { offset, previous, payload, ackId, needsAck }: WireDirect, current: () => Line | undefined): { direct: Direct; gap: DirectGap | undefined } | undefined {
    const fit = this.#chain.next(offset, previous, false);
    if (fit === "duplicate") return undefined;
    if (offset > this.#held) this.#held = offset;
    const confirm = (): void => {
      if (offset === 0n && !needsAck) return;
      if (offset > this.#confirmed) this.#confirmed = offset;
      if (ackId !== 0n && (this.#pending?.line !== line || ackId > this.#pending.ackId)) this.#pending = { line, ackId };
      this.#soon(current);
    };
    return { direct: new Direct(offset, payload, confirm), gap: typeof fit === "object" ? fit : undefined };
  }

  /** Says again on a new connection what the last one may not have heard. */
  welcomed(line: Line): void {
    if (this.#confirmed > 0n) line.say({ case: "ack", value: { upTo: this.#confirmed } });
  }

  /** One Ack for all that is confirmed in this turn. */
  #soon(current: () => Line | undefined): void {
    if (this.#isAsked) return;
    this.#isAsked = true;
    queueMicrotask(() => {
      this.#isAsked = false;
      const line = current();
      const ackId = this.#pending?.line === line ? (this.#pending?.ackId ?? 0n) : 0n;
      if (this.#pending && this.#pending.line !== line) {
        this.#pending.line.say({ case: "ack", value: { ackId: this.#pending.ackId } });
      }
      this.#pending = undefined;
      line?.say({ case: "ack", value: { upTo: this.#confirmed, ackId } });
    });
  }
}
