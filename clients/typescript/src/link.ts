import type { ServerEvent, Welcome, Migrate } from "./gen/tidegate/client/v1/server_event_pb.js";
import { Backoff } from "./backoff.js";
import { type Ending, TOKEN_EXPIRED, lost, verdictOf } from "./ending.js";
import { TidegateError } from "./errors.js";
import type { Side } from "./feed.js";
import { Line } from "./line.js";
import { MEMORY_MS, type Plan, destination, leaveAfter, planOf } from "./moving.js";
import type { Operation, Said } from "./operation.js";
import type { Dial } from "./transport.js";

export type ConnectionState = "disconnected" | "connecting" | "connected" | "closed";

/** What a link asks and tells its owner, the client. */
export interface LinkOwner {
  token(): Promise<string>;
  /** Whether `token` gives another one when the last has expired. */
  readonly renews: boolean;
  hello(token: string, ticket: Uint8Array): Said;
  changed(state: ConnectionState, ending: Ending | undefined): void;
  /** There is a connection, or a second one. */
  welcomed(line: Line, welcome: Welcome): void;
  heard(line: Line, side: Side, event: ServerEvent["event"]): void;
  /** A move begins: from now on publications are recorded. */
  recording(): void;
  /** Subscribes to everything on the second line; `done` when the gateway has answered for all. */
  join(line: Line, done: () => void): void;
  /** Nothing of the move has to be remembered any more. */
  settled(): void;
}

/** What `Migrate` orders. */
type Order = Pick<Migrate, "sessionTicket" | "spreadMs" | "deadlineMs" | "hint">;

/** By our own wish. */
const NOW: Order = { sessionTicket: new Uint8Array(), spreadMs: 0, deadlineMs: 0, hint: "" };

interface Move {
  readonly plan: Plan;
  readonly from: Line;
  to: Line | undefined;
  phase: "opening" | "joining" | "leaving";
  heardAll: boolean;
  leaveAfter: number;
}

/** Keeps a connection to the cluster: dials, waits, and moves from one gateway to another. */
export class ClusterLink {
  state: ConnectionState = "disconnected";
  ending: Ending | undefined;
  #line: Line | undefined;
  #move: Move | undefined;
  #backoff = new Backoff();
  #ticket: Uint8Array = new Uint8Array();
  #retry: ReturnType<typeof setTimeout> | undefined;
  #step: ReturnType<typeof setTimeout> | undefined;
  #memory: ReturnType<typeof setTimeout> | undefined;
  #waiting: Operation[] = [];

  constructor(
    private readonly url: string,
    private readonly dial: Dial,
    private readonly connectMs: number,
    private readonly most: number,
    private readonly owner: LinkOwner,
  ) {}

  /** The connection that operations go over. */
  get line(): Line | undefined {
    return this.#line?.isOpen ? this.#line : undefined;
  }

  connect(): void {
    if (this.state === "disconnected") void this.#connect();
  }

  /** Ends it for good. */
  close(ending: Ending): void {
    if (this.state === "closed") return;
    clearTimeout(this.#retry);
    clearTimeout(this.#step);
    clearTimeout(this.#memory);
    const lines = [this.#line, this.#move?.to, this.#move?.from];
    this.#move = undefined;
    this.#line = undefined;
    this.#become("closed", ending);
    const error = TidegateError.closed(ending);
    for (const operation of this.#waiting.splice(0)) operation.failed(error);
    for (const line of new Set(lines)) {
      const { sent, waiting } = line?.takeUnanswered() ?? { sent: [], waiting: [] };
      for (const operation of [...sent, ...waiting]) operation.failed(error);
      line?.end(ending);
    }
  }

  /** Sends it now, or as soon as there is a connection. */
  perform(operation: Operation): void {
    if (this.state === "closed") return operation.failed(TidegateError.closed(this.ending ?? lost("closed")));
    if (this.line) return this.line.perform(operation);
    if (this.#waiting.length >= this.most) {
      const message = "too many operations wait for a connection";
      return operation.failed(new TidegateError("queue_full", message, undefined, true, true));
    }
    this.#waiting.push(operation);
  }

  /** The network is there again: does not wait any longer, and looks whether the connection still is. */
  hurry(): void {
    if (this.#retry !== undefined) void this.#connect();
    else this.line?.probe(5_000);
  }

  async #connect(): Promise<void> {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#become("connecting", this.ending);
    const line = await this.#open(this.url, (ending) => this.#lost(undefined, ending));
    if (line) this.#line = line;
  }

  /** A line under way, once the application has a token; none if it has none or the client was closed meanwhile. */
  async #open(url: string, failed: (ending: Ending) => void): Promise<Line | undefined> {
    let token: string;
    try {
      token = await within(this.connectMs, this.owner.token());
    } catch (error) {
      if (this.state !== "closed") failed({ ...lost(`the application has no token: ${String(error)}`), cause: "no_token" });
      return undefined;
    }
    if (this.state === "closed") return undefined;
    return new Line(url, this.dial, this.connectMs, {
      hello: () => this.owner.hello(token, this.#ticket),
      welcomed: (line, welcome) => this.#welcomed(line, welcome),
      heard: (line, event) => this.#heard(line, event),
      ended: (line, ending) => this.#ended(line, ending),
    });
  }

  #welcomed(line: Line, welcome: Welcome): void {
    this.#ticket = welcome.sessionTicket;
    if (this.#move?.to === line) {
      this.owner.welcomed(line, welcome);
      return this.#goOn();
    }
    this.#line = line;
    this.owner.welcomed(line, welcome);
    for (const operation of this.#waiting.splice(0)) line.perform(operation);
    this.#become("connected", undefined);
  }

  #heard(line: Line, event: ServerEvent["event"]): void {
    const move = this.#move;
    if (event.case === "migrate") {
      if (line === this.#line) this.#migrate(line, event.value);
      return;
    }
    if (event.case === "pong" && move?.phase === "leaving" && line === move.from && event.value.nonce === 1) {
      move.heardAll = true;
      return this.#goOn();
    }
    const isOld = move ? line === move.from : false;
    this.owner.heard(line, isOld ? "old" : "new", event);
    if (isOld && move?.phase === "leaving" && line.isIdle) this.#goOn();
  }

  #ended(line: Line, ending: Ending): void {
    const move = this.#move;
    if (this.state === "closed") return;
    if (move?.phase === "leaving" && line === move.from) {
      // It is left with everything answered, or too late for what is not.
      this.#forget(move);
      return this.#repeat(line);
    }
    if (move && line === move.to && move.phase !== "leaving") {
      move.to = undefined;
      move.phase = "opening";
      if (this.#isFinal(ending)) return this.close(ending);
      this.#step = setTimeout(() => this.#goOn(), this.#backoff.after(ending, 0));
      return;
    }
    if (move && line === move.from && move.to?.isOpen) {
      // The old one died too early: the new one takes its place as it is.
      const to = move.to;
      if (move.phase === "opening") this.owner.join(to, () => {});
      this.#line = to;
      this.#forget(move);
      return this.#repeat(line);
    }
    if (line === this.#line) this.#lost(line, ending);
  }

  #lost(line: Line | undefined, ending: Ending): void {
    const move = this.#move;
    this.#move = undefined;
    this.#line = undefined;
    if (move) {
      clearTimeout(this.#step);
      for (const other of [move.to, move.from]) {
        if (other && other !== line) {
          other.end(ending);
          this.#repeat(other);
        }
      }
      this.owner.settled();
    }
    if (line) this.#repeat(line);
    if (this.#isFinal(ending)) return this.close(ending);
    this.#become("connecting", ending);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#connect(), this.#backoff.after(ending, line?.livedMs ?? 0));
  }

  /** An expired token is no reason to stay away where there is a fresh one. */
  #isFinal(ending: Ending): boolean {
    return verdictOf(ending) === "stay" && !(ending.code === TOKEN_EXPIRED && this.owner.renews);
  }

  /** What a lost line has not answered fails, unless it may be sent again. */
  #repeat(line: Line): void {
    const { sent, waiting } = line.takeUnanswered();
    const again = [...sent.filter((operation) => operation.isRepeatable && !operation.isOver), ...waiting];
    for (const operation of sent) if (!operation.isRepeatable) operation.failed(TidegateError.connectionLost());
    if (this.line) for (const operation of again) this.line.perform(operation);
    else this.#waiting.unshift(...again);
  }

  /** Goes over to another connection, because a better way is open. */
  moveUp(): void {
    if (this.line) this.#migrate(this.line, NOW);
  }

  #migrate(line: Line, migrate: Order): void {
    const plan = planOf(migrate, Date.now());
    if (migrate.sessionTicket.length > 0) this.#ticket = migrate.sessionTicket;
    // Said again while it is under way, or while the last gateway is still being left.
    if (this.#move) return;
    clearTimeout(this.#memory);
    this.#move = { plan, from: line, to: undefined, phase: "opening", heardAll: false, leaveAfter: 0 };
    this.owner.recording();
    this.#step = setTimeout(() => this.#goOn(), plan.startAt - Date.now());
  }

  /** Takes the steps of a move that have become possible. */
  #goOn(): void {
    const move = this.#move;
    if (!move) return;
    clearTimeout(this.#step);
    const now = Date.now();
    const again = (at: number): void => {
      this.#step = setTimeout(() => this.#goOn(), Math.max(0, Math.min(at - now, 2 ** 31 - 1)));
    };
    if (move.phase === "opening" && !move.to) return void this.#openSecond(move);
    if (move.phase === "opening" && move.to?.isOpen) {
      if (now < move.plan.subscribeAt) return again(move.plan.subscribeAt);
      move.phase = "joining";
      return this.owner.join(move.to, () => this.#turnOver(move));
    }
    if (move.phase !== "leaving") return;
    const isComplete = move.heardAll && move.from.isIdle && now >= move.leaveAfter;
    if (isComplete || now >= move.plan.deadline) move.from.end(lost("moved"));
    else again(now < move.leaveAfter ? move.leaveAfter : move.plan.deadline);
  }

  async #openSecond(move: Move): Promise<void> {
    const url = destination(this.url, move.plan.hint);
    const line = await this.#open(url, () => {
      if (this.#move === move) this.#step = setTimeout(() => this.#goOn(), this.#backoff.after(lost(""), 0));
    });
    if (!line) return;
    if (this.#move === move && !move.to) move.to = line;
    else line.end(lost("not needed any more"));
  }

  /** Everything is subscribed on the second connection: operations go over it from now on. */
  #turnOver(move: Move): void {
    if (this.#move !== move || move.phase !== "joining" || !move.to) return;
    this.#line = move.to;
    move.phase = "leaving";
    move.leaveAfter = leaveAfter(move.plan, Date.now());
    // Its answer comes behind all that the gateway has queued.
    move.from.say({ case: "ping", value: { nonce: 1 } });
    this.#goOn();
  }

  /** The new connection may repeat for a while what the old one brought. */
  #forget(move: Move): void {
    clearTimeout(this.#step);
    if (this.#move === move) this.#move = undefined;
    this.#memory = setTimeout(() => this.owner.settled(), MEMORY_MS);
  }

  #become(state: ConnectionState, ending: Ending | undefined): void {
    this.ending = ending;
    if (state === this.state) return;
    this.state = state;
    this.owner.changed(state, ending);
  }
}

/** Gives up on a promise in time. */
export function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("none came in time")), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
