import type { Dial, WebSocketClass } from "./transport.js";
import type { TransportName } from "./ways.js";

export interface TidegateOptions {
  /** The JWT that names the user, or where to get one: asked before each connection, and when the last one ends. */
  token: string | (() => string | Promise<string>);
  /** The WebSocket to use; the one of the platform by default. Node before version 22 has none: pass that of the package `ws`. */
  WebSocket?: WebSocketClass;
  /** How to reach gateways, best first. Default: `websocket`, and `sse` or `polling` where it is blocked, until it is not. */
  transports?: readonly TransportName[];
  /** The `fetch` to use for fall-backs; the one of the platform by default. */
  fetch?: typeof fetch;
  /** How long a fall-back is used before WebSocket is tried again, in milliseconds; then twice that, and so on to ten minutes. Default: 30 s. */
  probeMs?: number;
  /** Brings its own way to a gateway. */
  dial?: Dial;
  /** How long one try to connect may take, from the socket to Welcome, in milliseconds. Default: ten seconds. */
  connectTimeoutMs?: number;
  /** Leaves it to {@link Tidegate.ack} to confirm direct messages. */
  manualAcks?: boolean;
  /** Operations that wait for a connection at most; 4096 by default. What comes then fails at once. */
  queue?: number;
  /** The name by which gateways know this program, at most 64 bytes. */
  clientName?: string;
  /** Ends the client for good. */
  signal?: AbortSignal;
}

export interface RequestOptions {
  /** Milliseconds until the caller loses interest. Default: the route's. */
  deadlineMs?: number;
  /** With a key the first reply is kept, and the request is repeated, over reconnects, until it has an outcome or the deadline passes. */
  idempotencyKey?: string;
  signal?: AbortSignal;
  /** W3C trace context. */
  traceparent?: string;
}

export interface PublishOptions {
  /** For channels that deliver the latest value of each key. */
  key?: string;
  /** A publication with an id that the log has seen lately is not stored again, so it is sent again after a lost connection. */
  publicationId?: string;
  /** Send it again after a lost connection, although it may then be published twice. */
  retry?: boolean;
  signal?: AbortSignal;
}

/** What a `signal` is addressed to. */
export type Addressee = { user: string } | { sessionId: string } | { connectionId: string };

/** A request to be made when the session has been without a connection for `graceMs`. */
export interface Will {
  route: string;
  payload?: Uint8Array | string;
  graceMs: number;
}
