/**
 * How many messages a second one page takes: this SDK behind `tidegate dev`, and socket.io-client behind a
 * socket.io server in Node, in the same Chromium, in turns; beside a bare WebSocket with a frame for each message.
 * Each message is 128 bytes of text that the page reads.
 *
 *     TIDEGATE=… CHROMIUM=… npm run bench -- [rounds] [messages]
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { Server as SocketIo } from "socket.io";
import { WebSocketServer } from "ws";

const [rounds = 5, messages = 100_000] = process.argv.slice(2).map(Number);
const binary = process.env.TIDEGATE ?? "tidegate";
const payload = "m".repeat(128);
/** Emitted at once, and taken by the socket before the next ones. */
const CHUNK = 500;

async function tidegate() {
  const options = ["dev", "--client-port", "0", "--grpc-port", "0", "--admin-port", "0", "--json"];
  const child = spawn(binary, options, { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  const { client_url, grpc_url, token } = JSON.parse(line);
  return {
    name: "tidegate",
    target: { url: client_url, token },
    publish: (count) => promisify(execFile)(binary, ["publish", "demo.bench", payload, "--count", `${count}`, "--grpc", grpc_url]),
    stop: () => child.kill(),
  };
}

async function socketIo() {
  const http = createServer().listen(0, "127.0.0.1");
  await once(http, "listening");
  const io = new SocketIo(http, { transports: ["websocket"], cors: { origin: "*" } });
  return {
    name: "socket.io",
    target: { url: `http://127.0.0.1:${http.address().port}` },
    async publish(count) {
      const [socket] = io.sockets.sockets.values();
      for (let sent = 0; sent < count; sent += CHUNK) {
        for (let index = 0; index < CHUNK; index += 1) socket.emit("message", payload);
        await once(socket.conn, "drain");
      }
    },
    stop: () => io.close(),
  };
}

/** What a page takes if it does nothing but take, and nobody batches. */
async function bare() {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  return {
    name: "bare WebSocket",
    target: { url: `ws://127.0.0.1:${server.address().port}` },
    async publish(count) {
      const socket = [...server.clients].at(-1);
      for (let sent = 0; sent < count; sent += CHUNK) {
        for (let index = 1; index < CHUNK; index += 1) socket.send(payload);
        await new Promise((taken) => socket.send(payload, taken));
      }
    },
    stop: () => server.close(),
  };
}

/** What runs in the page. `total` is all that came; some may have been dropped before it. */
const SCRIPT = `
import { Tidegate } from "@tidegate/client";
import { io } from "socket.io-client";
const seen = { total: 0, dropped: 0, bytes: 0, first: 0, last: 0 };
function take(text) {
  const now = performance.now();
  if (seen.total === 0) seen.first = now;
  seen.total += 1;
  seen.bytes += text.length;
  seen.last = now;
}
globalThis.seen = () => ({ ...seen });
globalThis.connect = async (name, { url, token }) => {
  if (name === "socket.io") {
    const socket = io(url, { transports: ["websocket"] });
    await new Promise((resolve) => socket.on("connect", resolve));
    socket.on("message", take);
  } else if (name === "bare WebSocket") {
    const socket = new WebSocket(url);
    socket.onmessage = ({ data }) => take(data);
    await new Promise((resolve) => { socket.onopen = resolve; });
  } else {
    const client = new Tidegate(url, { token });
    const subscription = client.subscribe("demo.bench");
    subscription.on("publication", (publication) => take(publication.text()));
    subscription.on("gap", ({ dropped }) => { seen.dropped += Number(dropped); });
    await subscription.ready;
  }
};`;

async function measure(browser, script, peer) {
  const page = await browser.newPage();
  await page.addScriptTag({ content: script });
  await page.evaluate(([name, target]) => globalThis.connect(name, target), [peer.name, peer.target]);
  await peer.publish(messages);
  let seen;
  do {
    await new Promise((wake) => setTimeout(wake, 200));
    seen = await page.evaluate(() => globalThis.seen());
  } while (seen.total + seen.dropped < messages);
  await page.close();
  return { rate: ((seen.total - 1) * 1000) / (seen.last - seen.first), dropped: seen.dropped };
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
const bundle = await build({ stdin: { contents: SCRIPT, resolveDir: import.meta.dirname }, bundle: true, minify: true, write: false, format: "iife" });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const peers = [await tidegate(), await socketIo(), await bare()];
const rates = new Map(peers.map(({ name }) => [name, []]));
for (let round = 0; round < rounds; round += 1) {
  for (const peer of peers) {
    const { rate, dropped } = await measure(browser, bundle.outputFiles[0].text, peer);
    rates.get(peer.name).push(rate);
    console.log(`${peer.name}: ${Math.round(rate)} messages a second, ${dropped} of ${messages} dropped before the page`);
  }
}
const [ours] = peers.map(({ name }) => median(rates.get(name)));
for (const { name } of peers) {
  const theirs = median(rates.get(name));
  console.log(`${name}: median of ${rounds} ${Math.round(theirs)} messages a second; tidegate takes ${(ours / theirs).toFixed(2)} times that`);
}
await browser.close();
for (const peer of peers) peer.stop();
