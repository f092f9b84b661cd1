import type { ConnectionState } from "@tidegate/client";
import { useCallback, useSyncExternalStore } from "react";
import { useTidegate } from "./provider.js";

export function useConnectionState(): ConnectionState {
  const client = useTidegate();
  const subscribe = useCallback((changed: () => void) => client.on("state", changed), [client]);
  return useSyncExternalStore(subscribe, () => client.state, () => "disconnected");
}
