import type { SubscribeOptions, SubscriptionEvents, TidegateError } from "@tidegate/client";
import { useEffect, useRef, useState } from "react";
import { useTidegate } from "./provider.js";

/** Called with what comes, by name. It may be a new object in each render: the newest one is called. */
export type ChannelListener = { [Name in keyof SubscriptionEvents]?: (event: SubscriptionEvents[Name]) => void };

const NAMES = ["publication", "gap", "subscribed", "presence", "signal", "unsubscribed"] as const;

/** Options that no callback depends on, as the effect compares them. */
type Options = Omit<SubscribeOptions, "signal" | "queue">;

/**
 * Subscribes while the component is there; a channel of `null` is none. Components share
 * what the gateway sends of a channel. Changed options count from the next time on that
 * nobody else reads it.
 */
export function useChannel(
  channel: string | null,
  listener: ChannelListener = {},
  options: Options = {},
): { isSubscribed: boolean; error: TidegateError | undefined } {
  const client = useTidegate();
  const newest = useRef(listener);
  useEffect(() => {
    newest.current = listener;
  });
  const [standing, setStanding] = useState<{ of: string | null; isSubscribed: boolean; error: TidegateError | undefined }>(NONE);
  const wished = JSON.stringify(options);
  useEffect(() => {
    if (channel === null) return undefined;
    const subscription = client.subscribe(channel, JSON.parse(wished) as Options);
    const stops = NAMES.map((name) =>
      subscription.on(name, (event) => (newest.current[name] as ((event: unknown) => void) | undefined)?.(event)),
    );
    stops.push(
      subscription.on("subscribed", () => setStanding({ of: channel, isSubscribed: true, error: undefined })),
      subscription.on("unsubscribed", (error) => setStanding({ of: channel, isSubscribed: false, error })),
    );
    return () => {
      // The component is gone, or wants another channel: it hears nothing of the end.
      for (const stop of stops) stop();
      subscription.unsubscribe();
    };
  }, [client, channel, wished]);
  return standing.of === channel ? standing : NONE;
}

const NONE = { of: null, isSubscribed: false, error: undefined };
