import { TidegateError } from "./errors.js";

const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 2_000;

/** Tries until there is a definite outcome; the last failure if `deadline` (of `Date.now`) is sooner. */
export async function repeatUntil<T>(deadline: number, signal: AbortSignal | undefined, attempt: () => Promise<T>): Promise<T> {
  for (let most = FIRST_PAUSE_MS; ; most = Math.min(most * 2, LAST_PAUSE_MS)) {
    // Half of it at least, so that the gateway is not asked in a rush.
    const pause = most * (0.5 + Math.random() / 2);
    try {
      return await attempt();
    } catch (error) {
      const isRetryable = error instanceof TidegateError && error.retryable;
      if (!isRetryable || Date.now() + pause >= deadline) throw error;
    }
    await sleep(pause, signal);
  }
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => {
      clearTimeout(timer);
      reject(TidegateError.aborted());
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    }, ms);
    signal?.addEventListener("abort", aborted, { once: true });
  });
}
