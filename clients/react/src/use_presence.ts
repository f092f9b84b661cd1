import type { Member, PresenceChange } from "@tidegate/client";
import { useState } from "react";
import { useChannel } from "./use_channel.js";

export interface Members {
  /** Some of them, if there are too many to name. */
  readonly members: readonly Member[];
  readonly sessions: number;
  readonly users: number;
  readonly isSampled: boolean;
}

const NOBODY: Members = { members: [], sessions: 0, users: 0, isSampled: false };

/** Who is in a channel, all the time. */
export function usePresence(channel: string | null): Members {
  const [state, setState] = useState<{ of: string | null; members: Members }>({ of: null, members: NOBODY });
  const presence = (change: PresenceChange): void =>
    setState(({ of, members }) => ({ of: channel, members: next(of === channel ? members : NOBODY, change) }));
  useChannel(channel, { presence }, { presence: true });
  return state.of === channel ? state.members : NOBODY;
}

function next(before: Members, change: PresenceChange): Members {
  const { joined, left, snapshot, sampled, sessions, users } = change;
  const gone = new Set([...left, ...joined].map(({ sessionId }) => sessionId));
  const rest = snapshot ? [] : before.members.filter(({ sessionId }) => !gone.has(sessionId));
  const members = sampled && !snapshot ? before.members : [...rest, ...joined];
  return { members, sessions: Number(sessions), users: Number(users), isSampled: sampled };
}
