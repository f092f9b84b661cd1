import { ErrorCode } from "./gen/tidegate/client/v1/types_pb.js";
import type { Failure } from "./gen/tidegate/client/v1/server_event_pb.js";
import type { Ending } from "./ending.js";

/** Names of what the client itself finds; all others are those of {@link ErrorCode}. */
export type ErrorName =
  | "failed" | "connection_lost" | "closed" | "aborted" | "no_token" | "queue_full" | "usage";

/** Why an operation failed. */
export class TidegateError extends Error {
  override readonly name = "TidegateError";

  constructor(
    readonly kind: ErrorName,
    message: string,
    /** The gateway's code, where it was the gateway that said no. */
    readonly code: ErrorCode = ErrorCode.UNSPECIFIED,
    /** Whether the same operation may succeed later. */
    readonly retryable: boolean = false,
    /** The request was certainly not executed, nor was any with its idempotency key. */
    readonly notExecuted: boolean = false,
    /** The worker's own code, where a worker failed the request. */
    readonly workerCode: string = "",
  ) {
    super(message);
  }

  /** @internal */
  static of(failure: Failure | undefined): TidegateError {
    if (!failure) return new TidegateError("failed", "failed without a reason");
    const { code, message, retryable, notExecuted, workerCode } = failure;
    return new TidegateError("failed", message || (ErrorCode[code] ?? "failed").toLowerCase(), code, retryable, notExecuted, workerCode);
  }

  /** @internal */
  static connectionLost(): TidegateError {
    return new TidegateError("connection_lost", "the connection was lost before the answer; it may have been executed", ErrorCode.UNSPECIFIED, true);
  }

  /** @internal */
  static closed(ending: Ending): TidegateError {
    return new TidegateError("closed", `the client is closed: ${ending.message || ending.cause}`);
  }

  /** @internal */
  static aborted(): TidegateError {
    return new TidegateError("aborted", "the application gave up");
  }
}
