/** Behind proxies that let no WebSocket through, in front of a cluster: any gateway may get any request. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import WebSocket from "ws";
import { type Publication, Tidegate, type TidegateOptions } from "@tidegate/client";
import { Proxy } from "./proxy.js";
import { Server, until, within } from "./server.js";

let server: Server;
before(async () => { server = await Server.cluster(); });
after(() => server.stop());

async function behind(proxy: Proxy, user: string, options: Partial<TidegateOptions> = {}): Promise<Tidegate> {
  const token = () => server.token(user);
  const client = new Tidegate(proxy.url, { token, WebSocket: WebSocket as never, ...options });
  await within("connecting", client.connected());
  return client;
}

/** Everything that a client does, once. */
async function exercise(client: Tidegate, channel: string): Promise<void> {
  const subscription = client.subscribe(channel);
  await within("subscribing", subscription.ready);
  const came: string[] = [];
  subscription.on("publication", (publication: Publication) => came.push(publication.text()));
  const last = until<Publication>("the last", (on) => subscription.on("publication", on), (it) => it.text() === "99");
  const large = "x".repeat(40_000);
  await Promise.all(Array.from({ length: 100 }, (_, index) => client.publish(channel, `${index}`)));
  await last;
  assert.deepEqual(came, Array.from({ length: 100 }, (_, index) => `${index}`));
  const whole = until<Publication>("a large one", (on) => subscription.on("publication", on));
  await client.publish(channel, large);
  assert.equal((await whole).text(), large);
  subscription.unsubscribe();
}

test("without WebSocket it is server-sent events, and WebSocket again when that gets through", async (t) => {
  const proxy = await Proxy.to(server.entry.client_url);
  t.after(() => proxy.stop());
  using client = await behind(proxy, "streaming", { probeMs: 300 });
  assert.equal(client.transport, "sse");
  await exercise(client, "chat.streams");

  // Moves up while publications come, and misses none.
  using writer = server.client("writer");
  const reading = client.subscribe("chat.up");
  await within("subscribing", reading.ready);
  const came: string[] = [];
  reading.on("publication", (publication: Publication) => came.push(publication.text()));
  const states: string[] = [];
  client.on("state", ({ state }) => states.push(state));
  proxy.blocksUpgrades = false;
  let written = 0;
  const deadline = Date.now() + 30_000;
  while ((client.transport as string) !== "websocket" && Date.now() < deadline) {
    await writer.publish("chat.up", `${written++}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
  assert.equal(client.transport as string, "websocket");
  const last = until<Publication>("the last", (on) => reading.on("publication", on), (it) => it.text() === "last");
  await writer.publish("chat.up", "last");
  await last;
  assert.deepEqual(came, [...Array.from({ length: written }, (_, index) => `${index}`), "last"]);
  assert.deepEqual(states, [], "it was connected all the time");
  await exercise(client, "chat.again");
});

test("where streams are held back it is long polling", async (t) => {
  const proxy = await Proxy.to(server.entry.client_url);
  t.after(() => proxy.stop());
  proxy.holdsStreams = true;
  using client = await behind(proxy, "polling");
  assert.equal(client.transport, "polling");
  await exercise(client, "chat.polls");
});

test("a killed gateway's client resumes without WebSocket, too", async (t) => {
  const proxy = await Proxy.to(server.entry.client_url);
  t.after(() => proxy.stop());
  using writer = server.client("writer");
  using client = await behind(proxy, "resuming");
  const subscription = client.subscribe("chat.killed");
  await within("subscribing", subscription.ready);
  const came: string[] = [];
  subscription.on("publication", (publication: Publication) => came.push(publication.text()));
  const session = client.identity?.sessionId;
  await writer.publish("chat.killed", "before", { publicationId: "killed-before" });
  const again = until("resuming", (on) => subscription.on("subscribed", on));
  process.kill(server.gateway(client.identity?.gateway as string).pid, "SIGKILL");
  await writer.publish("chat.killed", "meanwhile", { publicationId: "killed-meanwhile" });
  assert.equal((await again as { verdict: string }).verdict, "recovered");
  const last = until<Publication>("the last", (on) => subscription.on("publication", on), (it) => it.text() === "last");
  await writer.publish("chat.killed", "last", { publicationId: "killed-last" });
  await last;
  assert.deepEqual(came, ["before", "meanwhile", "last"]);
  assert.equal(client.identity?.sessionId, session);
  assert.equal(client.transport, "sse");
});

test("a gateway that is away is no blocked WebSocket", async (t) => {
  const proxy = await Proxy.to("ws://127.0.0.1:9/v1/ws");
  t.after(() => proxy.stop());
  proxy.blocksUpgrades = false;
  using client = new Tidegate(proxy.url, { token: "x", WebSocket: WebSocket as never });
  await until("two tries", (on) => {
    const timer = setInterval(() => proxy.upgrades >= 2 && on(undefined), 20);
    return () => clearInterval(timer);
  });
  assert.equal(client.transport, undefined);
  client.close();
});
