import { TidegateError } from "./errors.js";
import { type Ending, lost } from "./ending.js";

export type Fetch = typeof fetch;

export const CONTENT_TYPE = "application/x-protobuf";

/** Messages are put together up to so many bytes; a larger one goes alone. */
const JOINED_BYTES = 16 << 10;
/** The first wait before a request that may not have been taken is repeated, in milliseconds; each is twice the last. */
const REPEAT_MS = 250;
const REPEAT_MOST_MS = 4_000;
/** How long one is repeated. */
const GIVE_UP_MS = 30_000;
/** How long one request may take. */
const REQUEST_MS = 10_000;

/** The address of a fall-back beside that of the WebSocket: `wss://gateway/v1/ws`. */
export function plainAddress(url: string, path: "sse" | "poll" | "send"): string {
  const address = new URL(url);
  address.protocol = address.protocol === "wss:" ? "https:" : "http:";
  address.pathname = address.pathname.replace(/\/ws$/, `/${path}`);
  return address.href;
}

/** Why a request was refused, as the gateway's JSON has it. */
export async function endingOf(response: Response): Promise<Ending> {
  const body = (await response.json().catch(() => ({}))) as { code?: string; message?: string };
  const { code = "refused", message = `HTTP status ${response.status}` } = body;
  return { code: 1006, cause: code, message, retryAfterMs: retryAfterMs(response) };
}

function retryAfterMs({ headers }: Response): number {
  const [ms, seconds] = [headers.get("retry-after-ms"), headers.get("retry-after")];
  return Number(ms ?? Number(seconds ?? 0) * 1_000) || 0;
}

/** Makes a request again until it was answered by something that says it was taken, or never will be. */
export async function persist(fetch: Fetch, address: string, init: RequestInit, patienceMs = REQUEST_MS): Promise<Response> {
  const since = Date.now();
  for (let wait = REPEAT_MS; ; wait = Math.min(2 * wait, REPEAT_MOST_MS)) {
    let after = 0;
    try {
      const response = await request(fetch, address, init, patienceMs);
      if (response.status !== 429 && response.status !== 503) return response;
      after = retryAfterMs(response);
    } catch (error) {
      if (init.signal?.aborted) throw error;
    }
    if (Date.now() - since > GIVE_UP_MS) throw new TidegateError("connection_lost", "no gateway takes requests", undefined, true, false);
    await new Promise((wake) => setTimeout(wake, Math.max(after, wait * (0.5 + Math.random() / 2))));
    init.signal?.throwIfAborted();
  }
}

/** One request, which ends in time. */
async function request(fetch: Fetch, address: string, init: RequestInit, patienceMs: number): Promise<Response> {
  const given = new AbortController();
  const abort = (): void => given.abort();
  const timer = setTimeout(abort, patienceMs);
  init.signal?.addEventListener("abort", abort, { once: true });
  try {
    const response = await fetch(address, { ...init, signal: given.signal, cache: "no-store", credentials: "omit" });
    // The body, too.
    const body = response.status === 204 ? null : await response.arrayBuffer();
    return new Response(body, { status: response.status, headers: response.headers });
  } finally {
    clearTimeout(timer);
    init.signal?.removeEventListener("abort", abort);
  }
}

/** What goes up by requests: one at a time, in order, each once. */
export class Upstream {
  #queue: Uint8Array[] = [];
  #handle: string | undefined;
  #sequence = 0;
  #isSending = false;

  constructor(
    private readonly fetch: Fetch,
    private readonly url: string,
    private readonly signal: AbortSignal,
    private readonly failed: (ending: Ending) => void,
  ) {}

  push(message: Uint8Array): void {
    this.#queue.push(message);
    this.#pump();
  }

  /** From now on the gateway knows the connection by this handle. */
  begin(handle: string): void {
    this.#handle = handle;
    this.#pump();
  }

  #pump(): void {
    if (this.#isSending || this.#handle === undefined || this.#queue.length === 0) return;
    this.#isSending = true;
    void this.#send(this.#handle, this.#next()).then(
      () => {
        this.#isSending = false;
        this.#pump();
      },
      (error: unknown) => this.failed(lost(String(error))),
    );
  }

  /** What waits, as one message: those of protobuf put together are one. */
  #next(): Uint8Array<ArrayBuffer> {
    let count = 0;
    let size = 0;
    for (const { length } of this.#queue) {
      if (count > 0 && size + length > JOINED_BYTES) break;
      count += 1;
      size += length;
    }
    const joined = new Uint8Array(size);
    let at = 0;
    for (const message of this.#queue.splice(0, count)) {
      joined.set(message, at);
      at += message.length;
    }
    return joined;
  }

  async #send(handle: string, body: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#sequence += 1;
    const headers = { "content-type": CONTENT_TYPE, "tidegate-handle": handle, "tidegate-sequence": `${this.#sequence}` };
    const init = { method: "POST", headers, body, signal: this.signal };
    const response = await persist(this.fetch, plainAddress(this.url, "send"), init);
    if (!response.ok) this.failed(await endingOf(response));
  }
}
