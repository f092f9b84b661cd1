import type { HistoryResult, PresenceResult, ServerEvent, Subscribed as WireSubscribed, Unsubscribed, Welcome } from "./gen/tidegate/client/v1/server_event_pb.js";
import { ErrorCode } from "./gen/tidegate/client/v1/types_pb.js";
import { Emitter } from "./emitter.js";
import type { Ending } from "./ending.js";
import { TidegateError } from "./errors.js";
import { Feed, type Side } from "./feed.js";
import type { Line } from "./line.js";
import { ClusterLink, type ConnectionState, within } from "./link.js";
import { Direct, type DirectGap, Mailbox } from "./mailbox.js";
import { type Heard, type Operation, type Said, failureIn } from "./operation.js";
import type { Addressee, PublishOptions, RequestOptions, TidegateOptions, Will } from "./options.js";
import { Body, type Payload, bytesOf } from "./payload.js";
import { Renewal } from "./renewal.js";
import { repeatUntil } from "./repeating.js";
import { type Member, Publication, type SubscribeOptions, Subscription, memberOf } from "./subscription.js";
import { watch } from "./surroundings.js";
import type { WebSocketClass } from "./transport.js";
import { type TransportName, Ways, waysOf } from "./ways.js";

const VERSION = "0.1.0";
const CONNECT_MS = 10_000;
const QUEUE = 1024;
const OPERATIONS = 4096;
/** What a deadline is stretched by on this side, so that the gateway's answer, which says more, has time to arrive. */
const GRACE_MS = 1_000;
/** Between tries to subscribe again where the gateway could not, at the moment. */
const RESUBSCRIBE_MS = 1_000;

export interface StateChange {
  readonly state: ConnectionState;
  /** How the last connection ended, unless it is connected. */
  readonly ending: Ending | undefined;
}

export interface TidegateEvents {
  state: StateChange;
  message: Direct;
  messageGap: DirectGap;
  /** By name: "token_expiring", "token_revoked", "degraded", "recovered". */
  notice: { kind: string; message: string; inMs: number };
}

/** Who is in a channel. */
export interface Presence {
  readonly members: readonly Member[];
  readonly sessions: bigint;
  readonly users: bigint;
  /** There are more members than are named. */
  readonly sampled: boolean;
}

export interface HistoryPage {
  readonly publications: readonly Publication[];
  readonly position: { epoch: string; offset: bigint };
  readonly more: boolean;
}

/** A client: connects at once, and again by itself, until it is closed. */
export class Tidegate extends Emitter<TidegateEvents> {
  readonly #options: TidegateOptions;
  readonly #link: ClusterLink;
  readonly #ways: Ways;
  readonly #feeds = new Map<string, Feed>();
  readonly #mailbox = new Mailbox();
  readonly #renewal = new Renewal(() => this.#renew());
  readonly #stopWatching: () => void;
  #isHidden = false;
  #will: { will: Will; sessionId: string } | undefined;
  #welcome: Welcome | undefined;

  constructor(url: string, options: TidegateOptions) {
    super();
    this.#options = options;
    const WebSocket = options.WebSocket ?? (globalThis as { WebSocket?: WebSocketClass }).WebSocket;
    const fetch = options.fetch ?? globalThis.fetch?.bind(globalThis);
    const ways = waysOf(options.transports ?? ["websocket", "sse", "polling"], WebSocket, fetch);
    if (!/^wss?:$/.test(new URL(url).protocol)) throw new TidegateError("usage", `not the URL of a gateway: ${url}`);
    if (ways.length === 0 && !options.dial) throw new TidegateError("usage", "this platform has no WebSocket: pass one as an option");
    this.#ways = new Ways(ways, fetch, () => this.#link.moveUp(), options.probeMs);
    const dial = options.dial ?? this.#ways.dial;
    this.#link = new ClusterLink(url, dial, options.connectTimeoutMs ?? CONNECT_MS, options.queue ?? OPERATIONS, {
      token: async () => (typeof options.token === "string" ? options.token : options.token()),
      renews: typeof options.token === "function",
      hello: (token, sessionTicket) => this.#hello(token, sessionTicket),
      changed: (state, ending) => this.#changed(state, ending),
      welcomed: (line, welcome) => this.#welcomed(line, welcome),
      heard: (line, side, event) => this.#heard(line, side, event),
      recording: () => this.#eachFeed((feed) => feed.beginOverlap()),
      join: (line, done) => this.#join(line, done),
      settled: () => this.#eachFeed((feed) => feed.endOverlap()),
    });
    this.#stopWatching = watch({
      hidden: (isHidden) => this.#setHidden(isHidden),
      online: () => this.#link.hurry(),
      offline: () => this.#link.line?.probe(5_000),
    });
    options.signal?.addEventListener("abort", () => this.close(), { once: true });
    this.#link.connect();
    if (options.signal?.aborted) this.close();
  }

  get state(): ConnectionState {
    return this.#link.state;
  }

  /** How the last connection ended, unless it is connected. */
  get ending(): Ending | undefined {
    return this.#link.ending;
  }

  /** What carries the connection; undefined before the first one. */
  get transport(): TransportName | undefined {
    return this.#ways.current;
  }

  /** As the gateway knows this client; undefined before the first connection. */
  get identity(): { user: string; sessionId: string; connectionId: string; gateway: string } | undefined {
    const welcome = this.#welcome;
    if (!welcome) return undefined;
    const { user, sessionId, connectionId, gateway } = welcome;
    return { user, sessionId, connectionId, gateway };
  }

  /** Waits until it is connected; fails once it is closed. */
  async connected(): Promise<void> {
    if (this.state === "connected") return;
    await new Promise<void>((resolve, reject) => {
      const settle = (state: ConnectionState): void => {
        if (state === "connected") resolve();
        if (state === "closed") reject(TidegateError.closed(this.#link.ending ?? CLOSED));
        if (state === "connected" || state === "closed") stop();
      };
      const stop = this.on("state", ({ state }) => settle(state));
      settle(this.state);
    });
  }

  /** Ends it for good, with everything under way. */
  close(): void {
    this.#link.close(CLOSED);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Reads a channel. Several subscriptions of one channel share what the gateway sends;
   * the first one's options count until the last is gone.
   */
  subscribe(channel: string, options: SubscribeOptions = {}): Subscription {
    let feed = this.#feeds.get(channel);
    const isNew = feed === undefined;
    if (!feed) this.#feeds.set(channel, (feed = new Feed(channel, options)));
    const owner = feed;
    const subscription = new Subscription(channel, options.queue ?? QUEUE, (reader) => this.#release(owner, reader));
    feed.readers.add(subscription);
    if (this.state === "closed") {
      this.#drop(feed, TidegateError.closed(this.#link.ending ?? CLOSED));
    } else if (isNew) {
      feed.setHidden(this.#isHidden);
      const line = this.#link.line;
      if (line) this.#subscribeOn(line, feed);
    } else if (feed.subscribed) {
      const standing = { ...feed.subscribed, isFirst: true };
      queueMicrotask(() => subscription.deliver("subscribed", standing));
    }
    options.signal?.addEventListener("abort", () => subscription.unsubscribe(), { once: true });
    if (options.signal?.aborted) subscription.unsubscribe();
    return subscription;
  }

  /** Publishes; the offset in the channel once the bus has it (zero: the channel keeps no log). */
  async publish(channel: string, payload: Payload, options: PublishOptions = {}): Promise<bigint> {
    const bytes = bytesOf(payload);
    const { key = "", publicationId = "", retry = false, signal } = options;
    const event = (id: number): Said => ({ case: "publish", value: { id, channel, payload: bytes, key, publicationId } });
    const heard = await this.#perform(event, { isWindowed: true, isRepeatable: retry || publicationId !== "", signal });
    return heard.case === "accepted" ? heard.value.offset : 0n;
  }

  /** Calls a route. */
  async request(route: string, payload?: Payload, options: RequestOptions = {}): Promise<Body> {
    const { deadlineMs, idempotencyKey = "", traceparent = "", signal } = options;
    const bytes = bytesOf(payload);
    const deadline = deadlineMs === undefined ? Infinity : Date.now() + deadlineMs;
    const once = async (): Promise<Body> => {
      const event = (id: number): Said => {
        const left = deadline === Infinity ? 0 : Math.max(1, Math.round(deadline - Date.now()));
        return { case: "request", value: { id, route, payload: bytes, deadlineMs: left, idempotencyKey, traceparent } };
      };
      const asked = { isWindowed: true, isRepeatable: idempotencyKey !== "", signal, deadline: deadline + GRACE_MS };
      const heard = await this.#perform(event, asked);
      return new Body(heard.case === "response" && heard.value.outcome.case === "payload" ? heard.value.outcome.value : new Uint8Array());
    };
    return idempotencyKey !== "" && deadline !== Infinity ? repeatUntil(deadline, signal, once) : once();
  }

  /** Who is in a channel. */
  async presence(channel: string, options: { signal?: AbortSignal } = {}): Promise<Presence> {
    const heard = await this.#perform((id) => ({ case: "presence", value: { id, channel } }), { isRepeatable: true, ...options });
    const { members, sessions, users, sampled } = heard.value as PresenceResult;
    return { members: members.map(memberOf), sessions, users, sampled };
  }

  /** A page of the channel's log: after a position, of the time since then, or from the oldest kept. */
  async history(channel: string, options: { since?: { epoch: string; offset: bigint }; sinceTimeMs?: number; limit?: number; signal?: AbortSignal } = {}): Promise<HistoryPage> {
    const { since, sinceTimeMs = 0, limit = 0, signal } = options;
    const value = { channel, limit, sinceTimeMs: BigInt(sinceTimeMs), ...(since && { since }) };
    const heard = await this.#perform((id) => ({ case: "history", value: { id, ...value } }), { isRepeatable: true, signal });
    const { publications, position, more } = heard.value as HistoryResult;
    const { epoch = "", offset = 0n } = position ?? {};
    const read = publications.map((of) => new Publication(channel, of.offset, of.key, of.payload, of.publishedAtUs, false));
    return { publications: read, position: { epoch, offset }, more };
  }

  /** Sends something to other members of a channel; how many connections it reached. It is kept nowhere. */
  async signal(channel: string, to: Addressee, payload: Payload): Promise<number> {
    const [name, value] = Object.entries(to)[0] as [string, string];
    const addressee = { case: name, value } as { case: "user"; value: string };
    const bytes = bytesOf(payload);
    const heard = await this.#perform((id) => ({ case: "signal", value: { id, channel, to: addressee, payload: bytes } }), {});
    return heard.case === "accepted" ? heard.value.reached : 0;
  }

  /** Leaves a request to be made when the session has been without a connection for longer than the grace. */
  async armWill(will: Will): Promise<void> {
    const { route, graceMs } = will;
    const payload = bytesOf(will.payload);
    await this.#perform((id) => ({ case: "armWill", value: { id, route, payload, graceMs } }), { isRepeatable: true });
    this.#will = { will, sessionId: this.#welcome?.sessionId ?? "" };
  }

  /** Takes the will back. */
  async disarmWill(): Promise<void> {
    this.#will = undefined;
    await this.#perform((id) => ({ case: "disarmWill", value: { id } }), { isRepeatable: true });
  }

  /** Confirms a direct message and all before it, with the option `manualAcks`. */
  ack(message: Direct): void {
    message.confirm();
  }

  // What the link asks and tells.

  #hello(token: string, sessionTicket: Uint8Array): Said {
    const clientName = this.#options.clientName ?? "tidegate-typescript";
    const ticket = sessionTicket as Uint8Array<ArrayBuffer>;
    const value = { token, clientName, clientVersion: VERSION, capabilities: ["migrate"], sessionTicket: ticket, mailboxOffset: this.#mailbox.held };
    return { case: "hello", value };
  }

  #changed(state: ConnectionState, ending: Ending | undefined): void {
    if (state !== "connected") this.#renewal.stop();
    if (state === "closed") {
      this.#stopWatching();
      this.#ways.stop();
      const error = TidegateError.closed(ending ?? CLOSED);
      for (const feed of [...this.#feeds.values()]) this.#drop(feed, ending === CLOSED ? undefined : error);
    }
    this.emit("state", { state, ending });
  }

  #welcomed(line: Line, welcome: Welcome): void {
    this.#welcome = welcome;
    this.#mailbox.welcomed(line);
    const armed = this.#will;
    if (armed && armed.sessionId !== welcome.sessionId) {
      armed.sessionId = welcome.sessionId;
      this.armWill(armed.will).catch(() => {});
    }
    // A second connection subscribes when publications have been recorded long enough.
    if (this.#link.line === line) for (const feed of this.#feeds.values()) this.#subscribeOn(line, feed);
  }

  #join(line: Line, done: () => void): void {
    let left = this.#feeds.size;
    if (left === 0) return done();
    for (const feed of this.#feeds.values()) {
      this.#subscribeOn(line, feed, () => {
        left -= 1;
        if (left === 0) done();
      });
    }
  }

  #heard(line: Line, side: Side, event: ServerEvent["event"]): void {
    switch (event.case) {
      case "publication":
        return line.aliases.get(event.value.alias)?.publication(side, event.value);
      case "gap":
        return line.aliases.get(event.value.alias)?.gap(side, event.value);
      case "presenceChange":
        return line.aliases.get(event.value.alias)?.presence(event.value);
      case "signalled":
        return line.aliases.get(event.value.alias)?.signalled(event.value);
      case "subscribed":
        if (event.value.id === 0) this.#subscribedByServer(line, event.value);
        return;
      case "unsubscribed":
        return this.#unsubscribed(line, event.value);
      case "direct": {
        const came = this.#mailbox.next(line, event.value, () => this.#link.line);
        if (!came) return;
        if (came.gap) this.emit("messageGap", came.gap);
        this.emit("message", came.direct);
        if (!this.#options.manualAcks) came.direct.confirm();
        return;
      }
      case "notice":
        if (typeof this.#options.token !== "string") this.#renewal.hear(event.value.kind);
        return this.emit("notice", event.value);
    }
  }

  // Subscriptions.

  #subscribeOn(line: Line, feed: Feed, done: () => void = () => {}): void {
    const event = (id: number): Said => {
      const since = feed.position();
      return { case: "subscribe", value: { id, channel: feed.channel, options: feed.wished(), ...(since && { since }) } };
    };
    const failed = (error: TidegateError): void => {
      done();
      if (this.#feeds.get(feed.channel) !== feed || !line.isOpen) return;
      if (!error.retryable) return this.#drop(feed, error);
      setTimeout(() => this.#feeds.get(feed.channel) === feed && line.isOpen && this.#subscribeOn(line, feed), RESUBSCRIBE_MS);
    };
    const answered = (heard: Heard): void => {
      const failure = failureIn(heard);
      if (failure) return failed(failure);
      if (heard.case === "subscribed" && this.#feeds.get(feed.channel) === feed) this.#subscribed(line, feed, heard.value);
      done();
    };
    // A lost line's subscriptions are taken up by the next one, all of them.
    line.perform({ event, isWindowed: false, isRepeatable: false, answered, failed });
  }

  #subscribed(line: Line, feed: Feed, answer: WireSubscribed): void {
    line.aliases.set(answer.alias, feed);
    feed.subscribedOn(answer);
  }

  /** The control plane subscribes whom it likes; who reads the channel later joins in. */
  #subscribedByServer(line: Line, answer: WireSubscribed): void {
    let feed = this.#feeds.get(answer.channel);
    if (!feed) this.#feeds.set(answer.channel, (feed = new Feed(answer.channel, {})));
    this.#subscribed(line, feed, answer);
  }

  #unsubscribed(line: Line, { id, alias, channel, code }: Unsubscribed): void {
    const feed = line.aliases.get(alias);
    line.aliases.delete(alias);
    if (id !== 0 || !feed || this.#feeds.get(channel) !== feed) return;
    this.#drop(feed, new TidegateError("failed", (ErrorCode[code] ?? "unsubscribed").toLowerCase(), code));
  }

  #drop(feed: Feed, error: TidegateError | undefined): void {
    if (this.#feeds.get(feed.channel) === feed) this.#feeds.delete(feed.channel);
    feed.end(error);
  }

  #release(feed: Feed, reader: Subscription): void {
    feed.readers.delete(reader);
    // Whoever comes in the same turn, as React's effects do, takes it over.
    queueMicrotask(() => {
      if (feed.readers.size > 0 || this.#feeds.get(feed.channel) !== feed) return;
      this.#feeds.delete(feed.channel);
      if (!this.#link.line) return;
      this.#perform((id) => ({ case: "unsubscribe", value: { id, channel: feed.channel } }), {}).catch(() => {});
    });
  }

  #setHidden(isHidden: boolean): void {
    this.#isHidden = isHidden;
    for (const feed of this.#feeds.values()) {
      if (!feed.setHidden(isHidden) || !feed.subscribed || !this.#link.line) continue;
      const event = (id: number): Said => ({ case: "setSubscription", value: { id, channel: feed.channel, options: feed.wished() } });
      this.#perform(event, {}).then(
        ({ value }) => feed.changed(value as WireSubscribed),
        // The next connection asks for what is wished then.
        () => {},
      );
    }
  }

  #eachFeed(act: (feed: Feed) => void): void {
    for (const feed of this.#feeds.values()) act(feed);
  }

  // Operations.

  async #renew(): Promise<void> {
    const source = this.#options.token;
    const token = typeof source === "string" ? source : await within(CONNECT_MS, Promise.resolve(source()));
    await this.#perform((id) => ({ case: "refresh", value: { id, token } }), {});
  }

  #perform(
    event: (id: number) => Said,
    options: { isWindowed?: boolean; isRepeatable?: boolean; signal?: AbortSignal | undefined; deadline?: number },
  ): Promise<Heard & { case: string }> {
    const { isWindowed = false, isRepeatable = false, signal, deadline = Infinity } = options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(TidegateError.aborted());
      let timer: ReturnType<typeof setTimeout> | undefined;
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", aborted);
        act();
      };
      const operation: Operation = {
        event,
        isWindowed,
        isRepeatable,
        answered: (heard) => {
          const failure = failureIn(heard);
          settle(() => (failure ? reject(failure) : resolve(heard as Heard & { case: string })));
        },
        failed: (error) => settle(() => reject(error)),
      };
      const giveUp = (error: TidegateError): void => {
        const id = this.#link.line?.abandon(operation);
        operation.isOver = true;
        if (id !== undefined && isWindowed) this.#link.line?.say({ case: "cancel", value: { id } });
        settle(() => reject(error));
      };
      const aborted = (): void => giveUp(TidegateError.aborted());
      signal?.addEventListener("abort", aborted, { once: true });
      if (deadline !== Infinity) {
        const late = new TidegateError("failed", "no answer came in time", ErrorCode.DEADLINE_EXCEEDED, true);
        timer = setTimeout(() => giveUp(late), Math.min(Math.max(0, deadline - Date.now()), 2 ** 31 - 1));
      }
      this.#link.perform(operation);
    });
  }
}

const CLOSED: Ending = { code: 1000, cause: "closed", message: "by the application", retryAfterMs: 0 };
