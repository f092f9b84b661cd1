import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ClientEventSchema } from "./gen/tidegate/client/v1/client_event_pb.js";
import type { ServerEvent } from "./gen/tidegate/client/v1/server_event_pb.js";
import { TidegateError } from "./errors.js";

/** What a client says, as protobuf-es takes it. */
export type Said = NonNullable<MessageInitShape<typeof ClientEventSchema>["event"]>;
/** What a gateway says. */
export type Heard = ServerEvent["event"];

/** Something that is sent with an id and answered once. */
export interface Operation {
  /** Made anew for each time it is sent. */
  readonly event: (id: number) => Said;
  /** Counts against the window that the gateway grants. */
  readonly isWindowed: boolean;
  /** May be sent again after a connection was lost before the answer. */
  readonly isRepeatable: boolean;
  readonly answered: (heard: Heard) => void;
  readonly failed: (error: TidegateError) => void;
  /** The application has lost interest: not sent any more. */
  isOver?: boolean;
}

/** The failure in an answer, if it is one. */
export function failureIn(heard: Heard): TidegateError | undefined {
  if (heard.case === "error") return TidegateError.of(heard.value.failure);
  if (heard.case === "response" && heard.value.outcome.case === "failure") {
    return TidegateError.of(heard.value.outcome.value);
  }
  return undefined;
}
