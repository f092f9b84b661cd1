import { base64Decode } from "@bufbuild/protobuf/wire";
import { type Ending, lost } from "./ending.js";
import type { Dial } from "./transport.js";
import { CONTENT_TYPE, type Fetch, Upstream, endingOf, plainAddress } from "./upstream.js";

/** Something on the way holds the stream back. */
export const HELD_BACK = "stream_held_back";
/** When that is to be suspected. */
const OPEN_MS = 5_000;

/** Down by server-sent events, up by requests: where no WebSocket gets through. */
export function serverSentEvents(fetch: Fetch): Dial {
  return (url, receiver) => {
    const abort = new AbortController();
    let isOver = false;
    let isOpening = false;
    const end = (ending: Ending): void => {
      if (isOver) return;
      isOver = true;
      abort.abort();
      receiver.ended(ending);
    };
    const upstream = new Upstream(fetch, url, abort.signal, end);
    const open = async (first: Uint8Array): Promise<void> => {
      const timer = setTimeout(() => end({ ...lost("the stream does not come"), cause: HELD_BACK }), OPEN_MS);
      const headers = { "content-type": CONTENT_TYPE, accept: "text/event-stream" };
      const init = { method: "POST", headers, body: first as Uint8Array<ArrayBuffer>, signal: abort.signal };
      try {
        const response = await fetch(plainAddress(url, "sse"), { ...init, cache: "no-store", credentials: "omit" });
        if (!response.ok || !response.body) return end(await endingOf(response));
        for await (const { name, data } of events(response.body)) {
          if (isOver) return;
          if (name === "open") {
            clearTimeout(timer);
            upstream.begin(data);
          } else receiver.received(base64Decode(data));
        }
        end(lost("the stream has ended"));
      } catch (error) {
        end(lost(String(error)));
      } finally {
        clearTimeout(timer);
      }
    };
    queueMicrotask(() => isOver || receiver.opened());
    return {
      send: (message) => {
        if (isOpening) return upstream.push(message);
        isOpening = true;
        void open(message);
      },
      close: () => end(lost("left")),
    };
  };
}

/** The events of a stream; comments are passed over. */
async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<{ name: string; data: string }> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const pieces = (text + decoder.decode(value, { stream: true })).split("\n\n");
    text = pieces.pop() as string;
    for (const piece of pieces) {
      let [name, data] = ["message", ""];
      for (const line of piece.split("\n")) {
        if (line.startsWith("event: ")) name = line.slice(7);
        if (line.startsWith("data: ")) data += line.slice(6);
      }
      if (data !== "") yield { name, data };
    }
  }
}
