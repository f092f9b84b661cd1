export { Tidegate, type HistoryPage, type Presence, type StateChange, type TidegateEvents } from "./tidegate.js";
export type { Addressee, PublishOptions, RequestOptions, TidegateOptions, Will } from "./options.js";
export type { ConnectionState } from "./link.js";
export type { CloseVerdict, Ending } from "./ending.js";
export { TidegateError, type ErrorName } from "./errors.js";
export { ErrorCode } from "./gen/tidegate/client/v1/types_pb.js";
export { type Direct, type DirectGap } from "./mailbox.js";
export { Body, type Payload } from "./payload.js";
export {
  Publication, Signal, Subscription,
  type Gap, type Member, type PresenceChange, type SubscribeOptions, type Subscribed, type SubscriptionEvents, type VerdictName,
} from "./subscription.js";
export type { Dial, Receiver, Transport, WebSocketClass } from "./transport.js";
export type { TransportName } from "./ways.js";
