/** Against one `tidegate dev`. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ErrorCode, TidegateError, type PresenceChange, type Publication } from "@tidegate/client";
import { Server, until, within } from "./server.js";

let server: Server;
before(async () => { server = await Server.dev(); });
after(() => server.stop());

async function take(from: AsyncIterable<Publication>, count: number): Promise<string[]> {
  const texts: string[] = [];
  for await (const publication of from) if (texts.push(publication.text()) === count) break;
  return texts;
}

test("publications come in order, by for await", async () => {
  using client = server.client("ann");
  const subscription = client.subscribe("chat.order");
  await within("subscribing", subscription.ready);
  const came = take(subscription, 100);
  await Promise.all(Array.from({ length: 100 }, (_, index) => client.publish("chat.order", `${index}`)));
  assert.deepEqual(await within("reading", came), Array.from({ length: 100 }, (_, index) => `${index}`));
});

test("requests are answered, and fail by code", async () => {
  using client = server.client("ann");
  assert.equal((await client.request("echo", "hello")).text(), "hello");
  await assert.rejects(client.request("no.such.route"), (error: TidegateError) => error.code === ErrorCode.UNKNOWN_ROUTE);
});

test("a request is aborted, before it is sent and after", async () => {
  using client = server.client("ann");
  const before = client.request("echo", "x", { signal: AbortSignal.abort() });
  await assert.rejects(before, (error: TidegateError) => error.kind === "aborted");
  const abort = new AbortController();
  const during = client.request("echo", "x", { signal: abort.signal });
  abort.abort();
  await assert.rejects(during, (error: TidegateError) => error.kind === "aborted");
});

test("readers of one channel share a subscription, and leave one by one", async () => {
  using client = server.client("ann");
  const [first, second] = [client.subscribe("chat.shared"), client.subscribe("chat.shared")];
  await within("subscribing", Promise.all([first.ready, second.ready]));
  const both = [until("first", (on) => first.on("publication", on)), until("second", (on) => second.on("publication", on))];
  await client.publish("chat.shared", "one");
  await Promise.all(both);
  first.unsubscribe();
  const rest = until<Publication>("the rest", (on) => second.on("publication", on));
  await client.publish("chat.shared", "two");
  assert.equal((await rest).text(), "two");
});

test("leaving and coming back in the same turn keeps the subscription", async () => {
  using client = server.client("ann");
  const first = client.subscribe("chat.strict");
  first.unsubscribe();
  const second = client.subscribe("chat.strict");
  await within("subscribing", second.ready);
  const came = until("it", (on) => second.on("publication", on));
  await client.publish("chat.strict", "x");
  await came;
});

test("members are told who is there, and who comes", async () => {
  using ann = server.client("ann");
  const subscription = ann.subscribe("chat.present", { presence: true });
  await within("subscribing", subscription.ready);
  const comes = until("bob", (on) => subscription.on("presence", on), ({ joined }: PresenceChange) => joined.some(({ user }) => user === "bob"));
  using bob = server.client("bob");
  await within("subscribing", bob.subscribe("chat.present").ready);
  await comes;
  const { members, users } = await ann.presence("chat.present");
  assert.deepEqual(members.map(({ user }) => user).sort(), ["ann", "bob"]);
  assert.equal(users, 2n);
});

test("a subscription that is not allowed says so", async () => {
  using client = server.client("ann");
  const subscription = client.subscribe("nowhere.at.all");
  await assert.rejects(within("the answer", subscription.ready), (error: TidegateError) => error.code === ErrorCode.UNKNOWN_NAMESPACE);
});

test("a token that is no good ends the client for good", async () => {
  using client = server.client("ann", { token: "not.a.token" });
  await assert.rejects(within("the answer", client.connected()), (error: TidegateError) => error.kind === "closed");
  assert.equal(client.state, "closed");
  assert.equal(client.ending?.cause, "invalid_token");
});

test("direct messages come and are confirmed", async () => {
  using client = server.client("dora");
  await client.connected();
  const came = until("the message", (on: (direct: { text(): string }) => void) => client.on("message", on));
  await server.cli("send", "--user", "dora", "hi");
  assert.equal((await came).text(), "hi");
});

test("a slow reader is told of what was pushed out", async () => {
  using client = server.client("ann");
  const subscription = client.subscribe("chat.slow", { queue: 2 });
  const reader = subscription[Symbol.asyncIterator]();
  await within("subscribing", subscription.ready);
  let dropped = 0n;
  subscription.on("gap", (gap) => { dropped += gap.dropped; });
  const last = until<Publication>("all", (on) => subscription.on("publication", on), (it) => it.text() === "4");
  for (let index = 0; index < 5; index += 1) await client.publish("chat.slow", `${index}`);
  await last;
  assert.equal(dropped, 3n);
  assert.equal((await reader.next()).value.text(), "3");
});

test("closing ends readers and fails what is under way", async () => {
  const client = server.client("ann");
  await client.connected();
  const subscription = client.subscribe("chat.closing");
  await within("subscribing", subscription.ready);
  const reading = take(subscription, 1);
  const asked = client.request("echo", "x");
  client.close();
  await assert.rejects(asked, (error: TidegateError) => error.kind === "closed");
  assert.deepEqual(await within("the end", reading), []);
});
