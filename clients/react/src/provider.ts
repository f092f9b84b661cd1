import type { Tidegate } from "@tidegate/client";
import { createContext, createElement, type ReactElement, type ReactNode, useContext } from "react";

const Context = createContext<Tidegate | undefined>(undefined);

/** Gives a client to all hooks below. The client is its maker's: it outlives the provider. */
export function TidegateProvider({ client, children }: { client: Tidegate; children?: ReactNode }): ReactElement {
  return createElement(Context.Provider, { value: client }, children);
}

/** The client of the nearest provider. */
export function useTidegate(): Tidegate {
  const client = useContext(Context);
  if (!client) throw new Error("there is no TidegateProvider above");
  return client;
}
