/** What a page hears from its browser. In Node there is none of it. */
export interface Surroundings {
  hidden(isHidden: boolean): void;
  online(): void;
  offline(): void;
}

/** Calls `heard` until the returned function is called. */
export function watch(heard: Surroundings): () => void {
  const page = typeof document === "undefined" ? undefined : document;
  const place = typeof globalThis.addEventListener === "function" ? globalThis : undefined;
  const seen = (): void => heard.hidden(page?.visibilityState === "hidden");
  const online = (): void => heard.online();
  const offline = (): void => heard.offline();
  page?.addEventListener("visibilitychange", seen);
  place?.addEventListener("online", online);
  place?.addEventListener("offline", offline);
  if (page?.visibilityState === "hidden") seen();
  return () => {
    page?.removeEventListener("visibilitychange", seen);
    place?.removeEventListener("online", online);
    place?.removeEventListener("offline", offline);
  };
}
