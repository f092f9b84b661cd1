import type { Publication } from "@tidegate/client";
import { useState } from "react";
import { useChannel } from "./use_channel.js";

/** The newest publication of each key; of those without a key at the key "". */
export type Latest = ReadonlyMap<string, Publication>;

const EMPTY: Latest = new Map();

/** The state of a channel: what was published last, by key. Begins with what the channel's log has. */
export function useLatest(channel: string | null): Latest {
  const [state, setState] = useState<{ of: string | null; latest: Latest }>({ of: null, latest: EMPTY });
  const publication = (came: Publication): void =>
    setState(({ of, latest }) => {
      const known = of === channel ? latest.get(came.key) : undefined;
      if (known && came.offset !== 0n && came.offset <= known.offset) return { of, latest };
      return { of: channel, latest: new Map(of === channel ? latest : EMPTY).set(came.key, came) };
    });
  useChannel(channel, { publication }, { latest: true });
  return state.of === channel ? state.latest : EMPTY;
}
