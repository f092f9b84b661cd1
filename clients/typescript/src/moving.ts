import type { Migrate } from "./gen/tidegate/client/v1/server_event_pb.js";

/** How long publications are recorded before the second connection subscribes: by so much its gateway may be behind. */
const LEAD_MS = 500;
/** How long the old connection is kept at least, for the same reason. */
const LINGER_MS = 1_000;
/** How long after the end of the old connection the new one may repeat something. */
export const MEMORY_MS = 5_000;

/** When to leave a connection, and where to; times as `Date.now` has them. */
export interface Plan {
  readonly startAt: number;
  readonly subscribeAt: number;
  /** When the gateway closes it. */
  readonly deadline: number;
  readonly hint: string;
}

export function planOf({ spreadMs, deadlineMs, hint }: Pick<Migrate, "spreadMs" | "deadlineMs" | "hint">, now: number): Plan {
  const lead = deadlineMs > 0 ? Math.min(LEAD_MS, deadlineMs / 4) : LEAD_MS;
  const deadline = deadlineMs > 0 ? now + deadlineMs : Infinity;
  return { startAt: now + spreadMs * Math.random(), subscribeAt: now + lead, deadline, hint };
}

/** From then on the old connection may end as soon as nothing is missing. */
export function leaveAfter(plan: Plan, now: number): number {
  return now + Math.min(LINGER_MS, Math.max(0, plan.deadline - now) / 2);
}

/** Where to go: the usual address, unless the gateway named another one. Nobody is led from TLS to none. */
export function destination(usual: string, hint: string): string {
  try {
    return new URL(hint).protocol === new URL(usual).protocol ? hint : usual;
  } catch {
    return usual;
  }
}
