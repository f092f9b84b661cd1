/** Against a real cluster whose gateways die and are drained. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Publication, Subscribed, Subscription, Tidegate } from "@tidegate/client";
import { Server, until, within } from "./server.js";

/** Between publications. */
const PACE_MS = 50;

let server: Server;
before(async () => { server = await Server.cluster(); });
after(() => server.stop());

/** Publishes numbers from one client while `act` happens to another one, which must get all of them once. */
async function nothingIsMissed(channel: string, reader: Tidegate, act: (subscription: Subscription) => Promise<void>): Promise<void> {
  using writer = server.client("writer");
  const subscription = reader.subscribe(channel);
  await within("subscribing", subscription.ready);
  const came: string[] = [];
  subscription.on("publication", (publication: Publication) => came.push(publication.text()));
  let isOver = false;
  let written = 0;
  const writing = (async () => {
    while (!isOver) {
      await writer.publish(channel, `${written}`, { publicationId: `${channel}-${written}` });
      written += 1;
      // At a pace at which the channel's log holds more than an outage takes.
      await new Promise((wake) => setTimeout(wake, PACE_MS));
    }
    const last = until<Publication>("the last", (on) => subscription.on("publication", on), (it) => it.text() === "last");
    await writer.publish(channel, "last", { publicationId: `${channel}-last` });
    await last;
  })();
  await act(subscription);
  isOver = true;
  await within("writing", writing);
  assert.deepEqual(came, [...Array.from({ length: written }, (_, index) => `${index}`), "last"]);
}

test("a drained gateway is left without missing anything or closing the connection", async () => {
  using reader = server.client("moving");
  await within("connecting", reader.connected());
  const states: string[] = [];
  reader.on("state", ({ state }) => states.push(state));
  const from = reader.identity?.gateway as string;
  await nothingIsMissed("chat.moving", reader, async () => {
    const drained = server.cli("drain", from);
    const deadline = Date.now() + 30_000;
    while (reader.identity?.gateway === from && Date.now() < deadline) await new Promise((wake) => setTimeout(wake, 50));
    await drained;
  });
  assert.notEqual(reader.identity?.gateway, from);
  assert.deepEqual(states, []);
});

test("a killed gateway's clients resume at another one and miss nothing", async () => {
  await server.stop();
  server = await Server.cluster();
  using reader = server.client("resuming");
  await within("connecting", reader.connected());
  const session = reader.identity?.sessionId;
  await nothingIsMissed("chat.resuming", reader, async (subscription) => {
    const again = until<Subscribed>("resuming", (on) => subscription.on("subscribed", on));
    process.kill(server.gateway(reader.identity?.gateway as string).pid, "SIGKILL");
    assert.equal((await again).verdict, "recovered");
  });
  assert.equal(reader.identity?.sessionId, session);
});
