import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ClientMessageSchema } from "./gen/tidegate/client/v1/client_event_pb.js";
import { type ServerEvent, ServerMessageSchema, type Welcome } from "./gen/tidegate/client/v1/server_event_pb.js";
import type { Limits } from "./gen/tidegate/client/v1/types_pb.js";
import { type Ending, lost } from "./ending.js";
import { TidegateError } from "./errors.js";
import type { Feed } from "./feed.js";
import type { Operation, Said } from "./operation.js";
import type { Dial, Transport } from "./transport.js";

/** Events of one message at most, as the protocol has it. */
const MOST_EVENTS = 4096;
const DEFAULT_HEARTBEAT_MS = 30_000;

/** What a line tells its owner. */
export interface LineOwner {
  /** What to open the conversation with. */
  hello(): Said;
  welcomed(line: Line, welcome: Welcome): void;
  heard(line: Line, event: ServerEvent["event"]): void;
  /** Once, and nothing after it. */
  ended(line: Line, ending: Ending): void;
}

/** One connection: from the dial to its end, with what is in flight on it. */
export class Line {
  /** Channels by the aliases that this gateway gave them. */
  readonly aliases = new Map<number, Feed>();
  welcome: Welcome | undefined;
  readonly #transport: Transport;
  readonly #inFlight = new Map<number, Operation>();
  #waiting: Operation[] = [];
  #windowed = 0;
  #lastId = 0;
  #batch: Uint8Array[] = [];
  #closing: Ending | undefined;
  #isOver = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isProbing = false;
  #openedAt = 0;

  constructor(url: string, dial: Dial, connectMs: number, private readonly owner: LineOwner) {
    this.#timer = setTimeout(() => this.end(lost("no Welcome came in time")), connectMs);
    this.#transport = dial(url, {
      opened: () => this.say(owner.hello()),
      received: (message) => this.#received(message),
      ended: (ending) => this.#ended(this.#closing ?? ending),
    });
  }

  get isOpen(): boolean {
    return this.welcome !== undefined && !this.#isOver;
  }

  get limits(): Limits | undefined {
    return this.welcome?.limits;
  }

  /** How long it has been open, in milliseconds. */
  get livedMs(): number {
    return this.#openedAt === 0 ? 0 : Date.now() - this.#openedAt;
  }

  /** Nothing is on its way. */
  get isIdle(): boolean {
    return this.#inFlight.size === 0 && this.#waiting.length === 0;
  }

  /** Sends what is not answered. Leaves with the others of this turn. */
  say(event: Said): void {
    if (this.#isOver) return;
    if (this.#batch.length === 0) queueMicrotask(() => this.#flush());
    this.#batch.push(toBinary(ClientMessageSchema, create(ClientMessageSchema, { events: [{ event }] })));
  }

  /** Sends an operation, as soon as the window has room. */
  perform(operation: Operation): void {
    this.#waiting.push(operation);
    this.#pump();
  }

  /** Gives up on an operation; its id if the gateway has it. */
  abandon(operation: Operation): number | undefined {
    operation.isOver = true;
    for (const [id, other] of this.#inFlight) if (other === operation) return id;
    return undefined;
  }

  /** Asks whether somebody is still there, and ends the line if no answer comes within `patienceMs`. */
  probe(patienceMs: number): void {
    if (!this.isOpen) return;
    this.say({ case: "ping", value: { nonce: 0 } });
    this.#isProbing = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(lost("the gateway was silent for too long")), patienceMs);
  }

  /** Ends it from this side. */
  end(ending: Ending): void {
    this.#ended(ending);
    this.#transport.close();
  }

  /** Lets go of everything unanswered, sent or not; in order. */
  takeUnanswered(): { sent: Operation[]; waiting: Operation[] } {
    const sent = [...this.#inFlight.values()];
    this.#inFlight.clear();
    return { sent, waiting: this.#waiting.splice(0) };
  }

  #received(message: Uint8Array): void {
    if (this.#isOver) return;
    let events: ServerEvent[];
    try {
      events = fromBinary(ServerMessageSchema, message).events;
    } catch {
      return this.end({ ...lost("the gateway sent something malformed"), cause: "malformed_message" });
    }
    this.#listen();
    for (const { event } of events) {
      if (this.#isOver) return;
      this.#hear(event);
    }
  }

  #hear(event: ServerEvent["event"]): void {
    switch (event.case) {
      case "welcome":
        this.welcome = event.value;
        this.#openedAt = Date.now();
        this.#listen();
        this.owner.welcomed(this, event.value);
        return this.#pump();
      case "closing": {
        const { closeCode: code, cause, message, retryAfterMs } = event.value;
        this.#closing = { code, cause, message, retryAfterMs };
        return;
      }
      case "response":
      case "accepted":
      case "subscribed":
      case "unsubscribed":
      case "refreshed":
      case "historyResult":
      case "presenceResult":
      case "error":
        // Tables of aliases are kept up before whoever asked hears of it.
        this.owner.heard(this, event);
        return this.#answered(event.value.id, event);
      default:
        return this.owner.heard(this, event);
    }
  }

  #answered(id: number, event: ServerEvent["event"]): void {
    const operation = this.#inFlight.get(id);
    if (!operation) return;
    this.#inFlight.delete(id);
    if (operation.isWindowed) this.#windowed -= 1;
    operation.answered(event);
    this.#pump();
  }

  #pump(): void {
    if (!this.isOpen) return;
    const window = this.limits?.maxInFlight || Infinity;
    const blocked: Operation[] = [];
    for (const operation of this.#waiting.splice(0)) {
      if (operation.isOver) continue;
      if (operation.isWindowed && this.#windowed >= window) {
        blocked.push(operation);
        continue;
      }
      const id = this.#nextId();
      const most = this.limits?.maxMessageBytes || Infinity;
      const event = operation.event(id);
      const bytes = toBinary(ClientMessageSchema, create(ClientMessageSchema, { events: [{ event }] }));
      if (bytes.length > most) {
        operation.failed(new TidegateError("usage", `larger than the ${most} bytes that the gateway takes`));
        continue;
      }
      this.#inFlight.set(id, operation);
      if (operation.isWindowed) this.#windowed += 1;
      if (this.#batch.length === 0) queueMicrotask(() => this.#flush());
      this.#batch.push(bytes);
    }
    this.#waiting.unshift(...blocked);
  }

  #nextId(): number {
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#lastId === 0 || this.#inFlight.has(this.#lastId));
    return this.#lastId;
  }

  /** Messages of one event each make, put together, the message with all of them. */
  #flush(): void {
    const most = this.limits?.maxMessageBytes || Infinity;
    let part: Uint8Array[] = [];
    let size = 0;
    const send = (): void => {
      if (part.length > 0 && !this.#isOver) this.#transport.send(concatenate(part, size));
      part = [];
      size = 0;
    };
    for (const bytes of this.#batch.splice(0)) {
      if (size + bytes.length > most || part.length === MOST_EVENTS) send();
      part.push(bytes);
      size += bytes.length;
    }
    send();
  }

  /** Something came: the next silence begins. One timer runs on rather than being set for each message. */
  #listen(): void {
    this.#heardAt = Date.now();
    if (!this.isOpen || (this.#isTicking && !this.#isProbing)) return;
    this.#isProbing = false;
    this.#isTicking = true;
    clearTimeout(this.#timer);
    this.#tick(this.#heartbeatMs());
  }

  #heardAt = 0;
  #isTicking = false;

  #heartbeatMs(): number {
    return this.limits?.heartbeatMs || DEFAULT_HEARTBEAT_MS;
  }

  #tick(waitMs: number): void {
    this.#timer = setTimeout(() => {
      const left = this.#heardAt + this.#heartbeatMs() - Date.now();
      if (left > 0) this.#tick(left);
      else this.probe(this.#heartbeatMs());
    }, waitMs);
  }

  #ended(ending: Ending): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.owner.ended(this, ending);
  }
}

function concatenate(parts: Uint8Array[], size: number): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
