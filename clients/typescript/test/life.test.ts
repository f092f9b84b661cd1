/** What happens to a client over its life, against one `tidegate dev`: tokens, wills, logs, signals, the mailbox. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Direct, ErrorCode, type Publication, type Signal, type Tidegate, TidegateError } from "@tidegate/client";
import { eventually, Server, until, within } from "./server.js";

let server: Server;
before(async () => { server = await Server.dev(); });
after(() => server.stop());

test("a token is renewed on the same connection before it ends", async () => {
  let asked = 0;
  using client = server.client("renewed", { token: () => (asked += 1, server.token("renewed", "--lifetime", "1s")) });
  await within("connecting", client.connected());
  const { connectionId } = client.identity ?? {};
  const states: string[] = [];
  client.on("state", ({ state }) => states.push(state));
  // Gateways allow for clocks that differ by some seconds; the third token means that the first one's time is over.
  await eventually("three tokens", async () => asked >= 3);
  assert.equal((await client.request("echo", "still")).text(), "still");
  assert.equal(client.identity?.connectionId, connectionId);
  assert.deepEqual(states, []);
});

test("with one token only it ends with that", async () => {
  const token = await server.token("once", "--lifetime", "1s");
  using client = server.client("once", { token });
  const closed = until("the end", (on: (change: { state: string }) => void) => client.on("state", on), ({ state }) => state === "closed");
  await within("connecting", client.connected());
  await closed;
  assert.equal(client.ending?.cause, "token_expired");
});

test("a will is armed, armed anew, and taken back", async () => {
  using client = server.client("testator");
  await within("connecting", client.connected());
  const standing = async (): Promise<unknown[]> => {
    const listed = (await server.cli("wills", "--user", "testator", "--json")).split("\n").filter((line) => line.startsWith("{"));
    return listed.map((line) => JSON.parse(line) as unknown);
  };
  await client.armWill({ route: "echo", payload: "bye", graceMs: 2_000 });
  assert.equal((await standing()).length, 1);
  await client.armWill({ route: "echo", payload: "farewell", graceMs: 3_000 });
  assert.equal((await standing()).length, 1);
  await assert.rejects(client.armWill({ route: "no.such.route", graceMs: 2_000 }), (error: TidegateError) => error.code === ErrorCode.UNKNOWN_ROUTE);
  await client.disarmWill();
  assert.deepEqual(await standing(), []);
});

test("a channel's log is read in pages", async () => {
  using client = server.client("reader");
  for (let index = 0; index < 5; index += 1) await client.publish("chat.log", `${index}`);
  const first = await client.history("chat.log", { limit: 3 });
  assert.deepEqual(first.publications.map((publication) => publication.text()), ["0", "1", "2"]);
  assert.equal(first.more, true);
  const offset = (first.publications.at(-1) as Publication).offset;
  const rest = await client.history("chat.log", { since: { epoch: first.position.epoch, offset } });
  assert.deepEqual(rest.publications.map((publication) => publication.text()), ["3", "4"]);
  assert.equal(rest.more, false);
  await assert.rejects(client.history("demo.none"), (error: TidegateError) => error.code === ErrorCode.NO_HISTORY);
});

test("members signal each other", async () => {
  using ann = server.client("ann");
  using bob = server.client("bob");
  const [from, to] = [ann.subscribe("chat.call"), bob.subscribe("chat.call")];
  await within("subscribing", Promise.all([from.ready, to.ready]));
  const came = until<Signal>("the offer", (on) => to.on("signal", on));
  assert.equal(await ann.signal("chat.call", { user: "bob" }, "offer"), 1);
  const offer = await came;
  assert.equal(offer.text(), "offer");
  const answered = until<Signal>("the answer", (on) => from.on("signal", on));
  await bob.signal("chat.call", { connectionId: offer.from.connectionId }, "answer");
  assert.equal((await answered).from.user, "bob");
  // Until the gateway knows of all members it says that it can't tell.
  const code = (error: TidegateError): ErrorCode => error.code;
  await eventually("nobody", async () => (await ann.signal("chat.call", { user: "nobody" }, "x").catch(code)) === ErrorCode.NOBODY_THERE);
});

test("what the application has not confirmed comes again", async () => {
  const message = (client: Tidegate): Promise<Direct> => until("a message", (on) => client.on("message", on));
  await server.cli("send", "--user", "eve", "--durable", "order 1 filled");
  {
    using forgetful = server.client("eve", { manualAcks: true });
    assert.equal((await message(forgetful)).text(), "order 1 filled");
  }
  using careful = server.client("eve", { manualAcks: true });
  const again = await message(careful);
  assert.equal(again.text(), "order 1 filled");
  careful.ack(again);
  // Behind the Ack, as a connection's events are handled in order.
  await careful.request("echo", "");
  await server.cli("send", "--user", "eve", "--durable", "order 2 filled");
  using last = server.client("eve", { manualAcks: true });
  assert.equal((await message(last)).text(), "order 2 filled");
});
