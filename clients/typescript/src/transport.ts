import { type Ending, lost } from "./ending.js";

/** A way to a gateway that carries whole messages both ways, in order. */
export interface Transport {
  send(message: Uint8Array): void;
  close(): void;
}

/** What a transport tells its owner; `ended` exactly once, and nothing after it. */
export interface Receiver {
  opened(): void;
  received(message: Uint8Array): void;
  ended(ending: Ending): void;
}

/** Opens a transport; for tests and for ways that the SDK does not know. */
export type Dial = (url: string, receiver: Receiver) => Transport;

/** The part of the standard WebSocket that is used here; the package `ws` has it as well. */
export interface WebSocketLike {
  binaryType: string;
  send(data: Uint8Array): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
}

export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike;

export const SUBPROTOCOL = "tidegate.v1.protobuf";

export function webSocket(WebSocket: WebSocketClass): Dial {
  return (url, receiver) => {
    const socket = new WebSocket(url, [SUBPROTOCOL]);
    socket.binaryType = "arraybuffer";
    let isOver = false;
    const end = (ending: Ending): void => {
      if (!isOver) receiver.ended(ending);
      isOver = true;
    };
    socket.onopen = () => isOver || receiver.opened();
    socket.onmessage = ({ data }: { data: ArrayBuffer }) => isOver || receiver.received(new Uint8Array(data));
    // Why is told by `onclose`, which always follows.
    socket.onerror = () => {};
    socket.onclose = ({ code, reason }: { code: number; reason: string }) =>
      end({ ...lost(reason || "the connection was lost"), code });
    return {
      send: (message) => socket.send(message),
      close: () => {
        end(lost("left"));
        socket.close(1000);
      },
    };
  };
}
