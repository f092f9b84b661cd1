import type { Body, Payload, RequestOptions } from "@tidegate/client";
import { useCallback, useEffect, useRef, useState } from "react";
import { useTidegate } from "./provider.js";

export interface RequestState {
  /** Makes the request; a newer one takes the place of one under way, which is aborted. */
  readonly send: (payload?: Payload, options?: Omit<RequestOptions, "signal">) => Promise<Body>;
  readonly isPending: boolean;
  readonly reply: Body | undefined;
  readonly error: unknown;
}

const IDLE = { isPending: false, reply: undefined, error: undefined };

/** Requests to one route; one that is under way is aborted when the component goes. */
export function useRequest(route: string): RequestState {
  const client = useTidegate();
  const [state, setState] = useState<Omit<RequestState, "send">>(IDLE);
  const current = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => current.current?.abort(), [client, route]);
  const send = useCallback<RequestState["send"]>(
    async (payload, options) => {
      current.current?.abort();
      const mine = (current.current = new AbortController());
      const settle = (next: Omit<RequestState, "send">): void => {
        if (current.current === mine && !mine.signal.aborted) setState(next);
      };
      setState({ ...IDLE, isPending: true });
      try {
        const reply = await client.request(route, payload, { ...options, signal: mine.signal });
        settle({ ...IDLE, reply });
        return reply;
      } catch (error) {
        settle({ ...IDLE, error });
        throw error;
      }
    },
    [client, route],
  );
  return { send, ...state };
}
