import { base64Decode } from "@bufbuild/protobuf/wire";
import { type Ending, lost } from "./ending.js";
import type { Dial } from "./transport.js";
import { CONTENT_TYPE, type Fetch, Upstream, endingOf, persist, plainAddress } from "./upstream.js";

/** Longer than gateways let a poll wait. */
const POLL_MS = 60_000;

interface Answer {
  readonly handle?: string;
  readonly cursor: number;
  readonly messages: readonly string[];
}

/** Down by answers to requests that wait, up by requests: where streams are held back. */
export function longPolling(fetch: Fetch): Dial {
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
    const address = plainAddress(url, "poll");
    const take = async (response: Response): Promise<Answer | undefined> => {
      if (!response.ok) {
        end(await endingOf(response));
        return undefined;
      }
      const answer = (await response.json()) as Answer;
      for (const message of answer.messages) if (!isOver) receiver.received(base64Decode(message));
      return answer;
    };
    const run = async (first: Uint8Array): Promise<void> => {
      const headers = { "content-type": CONTENT_TYPE };
      const init = { method: "POST", headers, signal: abort.signal };
      try {
        const opened = await fetch(address, { ...init, body: first as Uint8Array<ArrayBuffer>, cache: "no-store", credentials: "omit" });
        let answer = await take(opened);
        const handle = answer?.handle;
        if (!answer || handle === undefined) return end(lost("no handle came"));
        upstream.begin(handle);
        while (answer && !isOver) {
          // Repeating one is safe: an answer that was lost comes again.
          const named = { ...headers, "tidegate-handle": handle, "tidegate-cursor": `${answer.cursor}` };
          answer = await take(await persist(fetch, address, { ...init, headers: named }, POLL_MS));
        }
      } catch (error) {
        end(lost(String(error)));
      }
    };
    queueMicrotask(() => isOver || receiver.opened());
    return {
      send: (message) => {
        if (isOpening) return upstream.push(message);
        isOpening = true;
        void run(message);
      },
      close: () => end(lost("left")),
    };
  };
}
