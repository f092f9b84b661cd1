/** How a connection ended. */
export interface Ending {
  /** 4000 to 4999, or one of RFC 6455. */
  readonly code: number;
  /** Stable name, such as "slow_consumer". */
  readonly cause: string;
  /** For people. */
  readonly message: string;
  /** Not to come back sooner, in milliseconds. */
  readonly retryAfterMs: number;
}

/** The token's time is over. */
export const TOKEN_EXPIRED = 4007;

export type CloseVerdict = "stay" | "reconnect" | "resume";

/** What the code says about coming back; codes that gateways do not use come from proxies, and pass. */
export function verdictOf({ code }: Ending): CloseVerdict {
  if (code >= 4200 && code < 4300) return "resume";
  const isFinal = [1000, 1002, 1003, 1007, 1008, 1009, 1010].includes(code) || (code >= 4000 && code < 4100);
  return isFinal ? "stay" : "reconnect";
}

/** The gateway gave this client a place of its own in the line of those who come back. */
export function isScheduled(ending: Ending): boolean {
  return ending.cause === "admission_rate" && ending.retryAfterMs > 0;
}

export function lost(message: string): Ending {
  return { code: 1006, cause: "connection_lost", message, retryAfterMs: 0 };
}
