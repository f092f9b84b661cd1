export { TidegateProvider, useTidegate } from "./provider.js";
export { useChannel, type ChannelListener } from "./use_channel.js";
export { useConnectionState } from "./use_connection_state.js";
export { useLatest, type Latest } from "./use_latest.js";
export { usePresence, type Members } from "./use_presence.js";
export { useRequest, type RequestState } from "./use_request.js";
