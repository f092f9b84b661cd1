/** A page under StrictMode, which mounts everything twice; the test counts what the gateway is asked. */
import { Tidegate } from "@tidegate/client";
import { TidegateProvider, useChannel, useConnectionState, useLatest, usePresence, useRequest } from "@tidegate/react";
import { createElement as element, type ReactElement, StrictMode, useEffect, useState } from "react";
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

/** Stays all the time: what comes to it is all there is. */
function Keeper() {
  useChannel("chat.churn", { publication: (publication) => void came.push(publication.text()) });
  return null;
}

/** Comes and goes, in the middle of what its hooks have under way. */
function Visitor({ nth }: { nth: number }) {
  const latest = useLatest(nth % 3 === 0 ? null : "chat.churn");
  const { users } = usePresence(nth % 2 === 0 ? "chat.churn" : "chat.churn.other");
  const { isSubscribed } = useChannel(`chat.churn.${nth % 5}`);
  const { send, isPending } = useRequest("echo");
  useEffect(() => {
    send(`${nth}`).catch(() => {});
  }, [send, nth]);
  return element("i", undefined, `${latest.size} ${users} ${isSubscribed} ${isPending}`);
}

function Churn() {
  const [round, setRound] = useState(0);
  const [isOver, setOver] = useState(false);
  const state = useConnectionState();
  useEffect(() => {
    if (isOver) return undefined;
    const timer = setInterval(() => setRound((before) => before + 1), 7);
    return () => clearInterval(timer);
  }, [isOver]);
  Object.assign(globalThis, { stopChurning: () => setOver(true), round });
  // Some change their channels, some go and come anew; at the end nobody but the keeper is left.
  const visitors = isOver ? [] : Array.from({ length: round % 4 }, (_, index) => element(Visitor, { key: (round + index) % 6, nth: round + index }));
  return element("main", { "data-state": state }, element(Keeper), ...visitors);
}

const came: string[] = [];
const errors: string[] = [];
addEventListener("error", ({ message }) => errors.push(message));
addEventListener("unhandledrejection", ({ reason }) => errors.push(String(reason)));
console.error = (...words: unknown[]) => errors.push(words.join(" "));

function start(page: () => ReactElement, url: string, token: string): void {
  const client = new Tidegate(url, { token });
  const root = createRoot(document.body);
  root.render(element(StrictMode, undefined, element(TidegateProvider, { client }, element(page))));
  Object.assign(globalThis, { client, root, came, errors });
}

Object.assign(globalThis, {
  start: (url: string, token: string) => start(Page, url, token),
  churn: (url: string, token: string) => start(Churn, url, token),
});
