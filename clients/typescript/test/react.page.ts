/** A page under StrictMode, which mounts everything twice; the test counts what the gateway is asked. */
import { Tidegate } from "@tidegate/client";
import { TidegateProvider, useConnectionState, useLatest, usePresence } from "@tidegate/react";
import { createElement as element, StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";

const CHANNEL = "chat.react";

function Reader({ name }: { name: string }) {
  const latest = useLatest(CHANNEL);
  return element("output", { id: name }, latest.get("")?.text() ?? "");
}

function Page() {
  const [shown, setShown] = useState(2);
  const state = useConnectionState();
  const { users } = usePresence("chat.react.members");
  Object.assign(globalThis, { setShown });
  const readers = Array.from({ length: shown }, (_, index) => element(Reader, { key: index, name: `reader${index}` }));
  return element("main", { "data-state": state, "data-users": users }, ...readers);
}

Object.assign(globalThis, {
  start(url: string, token: string) {
    const client = new Tidegate(url, { token });
    const root = createRoot(document.body);
    root.render(element(StrictMode, undefined, element(TidegateProvider, { client }, element(Page))));
    Object.assign(globalThis, { client, root });
  },
});
