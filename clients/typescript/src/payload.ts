/** What an application sends: text is sent as UTF-8. */
export type Payload = Uint8Array | string;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function bytesOf(payload: Payload | undefined): Uint8Array<ArrayBuffer> {
  if (payload === undefined) return new Uint8Array();
  return typeof payload === "string" ? encoder.encode(payload) : (payload as Uint8Array<ArrayBuffer>);
}

/** Something with a payload; decoded when it is asked for. */
export class Body {
  constructor(readonly payload: Uint8Array) {}

  text(): string {
    return decoder.decode(this.payload);
  }

  /** Throws if it is not JSON. */
  json<T = unknown>(): T {
    return JSON.parse(this.text()) as T;
  }
}
