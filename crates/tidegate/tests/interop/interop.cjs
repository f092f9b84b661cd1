// A client nobody here wrote: the npm packages ws and protobufjs.
//
//     node interop.cjs ANNOUNCEMENT PROTO
//
// ANNOUNCEMENT is the line of JSON that `tidegate dev --json` prints, PROTO the
// folder of the .proto files, which protobufjs reads as they are. Events are
// written here as the protobuf JSON mapping has them; the two codecs below bring
// them into the form of each subprotocol.

"use strict";

const assert = require("node:assert/strict");
const path = require("node:path");
const protobuf = require("protobufjs");
const WebSocket = require("ws");

// For each single wait, in milliseconds; generous, because it is only reached
// by a failure.
const PATIENCE = 20_000;

const gateway = JSON.parse(process.argv[2]);
const proto = process.argv[3];

const root = new protobuf.Root();
root.resolvePath = (_origin, target) => path.resolve(proto, target);
root.loadSync(["tidegate/client/v1/client_event.proto", "tidegate/client/v1/server_event.proto"]);
const ClientMessage = root.lookupType("tidegate.client.v1.ClientMessage");
const ServerMessage = root.lookupType("tidegate.client.v1.ServerMessage");

const binary = {
  subprotocol: "tidegate.v1.protobuf",
  encode: (events) => ClientMessage.encode(ClientMessage.fromObject({ events })).finish(),
  decode(data, isBinary) {
    assert(isBinary, `text on a binary subprotocol: ${data}`);
    const options = { bytes: String, enums: String, longs: String };
    return ServerMessage.toObject(ServerMessage.decode(data), options).events;
  },
};

const json = {
  subprotocol: "tidegate.v1.json",
  encode: (events) => JSON.stringify({ events }),
  decode(data, isBinary) {
    assert(!isBinary, "binary on a text subprotocol");
    return JSON.parse(data.toString()).events;
  },
};

/** One connection; what it receives is kept in order. */
class Client {
  constructor(codec, query = "") {
    this.codec = codec;
    this.waiting = [];
    this.wake = () => {};
    this.socket = new WebSocket(gateway.client_url + query, codec.subprotocol, {
      handshakeTimeout: PATIENCE,
    });
    const push = (item) => {
      this.waiting.push(item);
      this.wake();
    };
    this.socket.on("message", (data, isBinary) => {
      for (const event of codec.decode(data, isBinary)) push(event);
    });
    this.socket.on("pong", (data) => push({ socketPong: data.toString() }));
    this.socket.on("error", (error) => push({ failed: error }));
    this.socket.on("close", (code) => push({ closed: code }));
  }

  static async connect(codec, query) {
    const client = new Client(codec, query);
    await within("opening", new Promise((done) => client.socket.once("open", done)));
    assert.equal(client.socket.protocol, codec.subprotocol);
    return client;
  }

  static async welcomed(codec) {
    const client = await Client.connect(codec);
    client.send(hello());
    const welcome = await client.expect("welcome");
    assert(welcome.connectionId && welcome.user, JSON.stringify(welcome));
    assert(welcome.limits.maxMessageBytes > 0, JSON.stringify(welcome));
    return client;
  }

  send(...events) {
    this.socket.send(this.codec.encode(events));
  }

  /** The next event: its kind and its fields. */
  async next() {
    if (this.waiting.length === 0) {
      await within("an event", new Promise((done) => (this.wake = done)));
    }
    return Object.entries(this.waiting.shift())[0];
  }

  async expect(kind) {
    const [found, fields] = await this.next();
    assert.equal(found, kind, `expected ${kind}, got ${found}: ${JSON.stringify(fields)}`);
    return fields;
  }

  async subscribe(channel) {
    this.send({ subscribe: { id: 1, channel } });
    const subscribed = await this.expect("subscribed");
    assert.equal(subscribed.id, 1);
    assert.equal(subscribed.channel, channel);
    assert.equal(subscribed.verdict, "VERDICT_FRESH");
    return subscribed.alias ?? 0;
  }

  /** The gateway closes: first the event Closing, then the frame. */
  async closed(code, cause) {
    const closing = await this.expect("closing");
    assert.equal(closing.closeCode, code);
    assert.equal(closing.cause, cause);
    assert.equal(await this.expect("closed"), code);
  }

  async close() {
    this.socket.close(1000);
    assert.equal(await this.expect("closed"), 1000);
  }
}

function within(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come in time`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const hello = (token = gateway.token) => ({
  hello: { token, clientName: "interop", clientVersion: "1" },
});

const encoded = (bytes) => Buffer.from(bytes).toString("base64");

// === what is checked, with both codecs ===

const checks = {
  async publishesAndReceives(codec) {
    const client = await Client.welcomed(codec);
    const channel = "demo.interop";
    const alias = await client.subscribe(channel);
    const payload = encoded(Array.from({ length: 256 }, (_, byte) => byte));
    client.send({ publish: { id: 2, channel, payload } });
    const events = Object.fromEntries([await client.next(), await client.next()]);
    assert.equal(events.accepted?.id, 2, JSON.stringify(events));
    assert.equal(events.publication?.payload, payload, JSON.stringify(events));
    assert.equal(events.publication.alias ?? 0, alias);
    client.send({ unsubscribe: { id: 3, channel } });
    const unsubscribed = await client.expect("unsubscribed");
    assert.equal(unsubscribed.id, 3);
    // Nothing comes between any more.
    client.send({ publish: { id: 4, channel, payload } });
    await client.expect("accepted");
    client.send({ ping: { nonce: 4 } });
    await client.expect("pong");
    await client.close();
  },

  async requestIsAnswered(codec) {
    const client = await Client.welcomed(codec);
    const payload = encoded("are you there?");
    client.send({ request: { id: 9, route: "echo", payload } });
    const response = await client.expect("response");
    assert.equal(response.id, 9);
    assert.equal(response.payload, payload);
    await client.close();
  },

  async pingsAreAnswered(codec) {
    const client = await Client.welcomed(codec);
    client.send({ ping: { nonce: 4294967295 } }, { ping: { nonce: 7 } });
    assert.equal((await client.expect("pong")).nonce, 4294967295);
    assert.equal((await client.expect("pong")).nonce, 7);
    client.socket.ping("of the WebSocket");
    assert.equal(await client.expect("socketPong"), "of the WebSocket");
    await client.close();
  },

  async tokenInTheQueryNeedsNoHello(codec) {
    const client = await Client.connect(codec, `?access_token=${gateway.token}`);
    await client.expect("welcome");
    await client.close();
  },

  async invalidChannelIsRefused(codec) {
    const client = await Client.welcomed(codec);
    client.send({ subscribe: { id: 5, channel: "demo.*" } });
    const error = await client.expect("error");
    assert.equal(error.id, 5);
    assert.equal(error.failure.code, "ERROR_CODE_INVALID_CHANNEL");
    await client.close();
  },

  async badTokenIs4002(codec) {
    const client = await Client.connect(codec);
    client.send(hello("no token"));
    await client.closed(4002, "invalid_token");
  },

  async subscribeBeforeHelloIs4003(codec) {
    const client = await Client.connect(codec);
    client.send({ subscribe: { id: 1, channel: "demo.interop" } });
    await client.closed(4003, "not_authenticated");
  },

  async secondHelloIs4005(codec) {
    const client = await Client.welcomed(codec);
    client.send(hello());
    await client.closed(4005, "protocol_violation");
  },

  async wrongTypeOfMessageIs1003(codec) {
    const client = await Client.welcomed(codec);
    client.socket.send(codec === binary ? "text" : Buffer.from("binary"));
    await client.closed(1003, "wrong_message_type");
  },

  async malformedMessageIs4004(codec) {
    const client = await Client.welcomed(codec);
    client.socket.send(codec === binary ? Buffer.from([255, 255, 255]) : "{");
    await client.closed(4004, "malformed_message");
  },
};

async function main() {
  let [passed, failed] = [0, 0];
  for (const codec of [binary, json]) {
    for (const [name, check] of Object.entries(checks)) {
      try {
        await check(codec);
        passed += 1;
        console.log(`ok     ${codec.subprotocol} ${name}`);
      } catch (error) {
        failed += 1;
        console.log(`FAILED ${codec.subprotocol} ${name}\n${error.stack}`);
      }
    }
  }
  console.log(`node: ${passed} passed, ${failed} failed`);
  return failed;
}

// Connections of failed checks may still be open: leave at once.
main().then((failed) => process.exit(failed === 0 ? 0 : 1));
