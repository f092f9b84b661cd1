/** In a headless Chromium, against a real cluster; CHROMIUM names the program. */
import assert from "node:assert/strict";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";
import type * as Sdk from "@tidegate/client";
import { Proxy } from "./proxy.js";
import { PATIENCE, Server } from "./server.js";

declare const tidegate: typeof Sdk;

const FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
let server: Server;
let browser: Browser;
let pages: HttpServer;
let address: string;

before(async () => {
  server = await Server.cluster();
  const built = await build({ entryPoints: ["@tidegate/client"], bundle: true, minify: true, write: false, format: "iife", globalName: "tidegate" });
  const script = built.outputFiles[0]?.text ?? "";
  pages = createServer((request, response) => {
    const isScript = request.url === "/sdk.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? script : '<!doctype html><script src="/sdk.js"></script>');
  });
  await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(pages.address() as AddressInfo).port}/`;
  browser = await chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: FLAGS });
});
after(async () => {
  await browser?.close();
  pages?.close();
  await server?.stop();
});

async function page(): Promise<Page> {
  const opened = await browser.newPage();
  opened.setDefaultTimeout(PATIENCE);
  await opened.goto(address);
  return opened;
}

test("a page subscribes, publishes and reads", async () => {
  const opened = await page();
  const target = { url: server.entry.client_url, token: await server.token("page") };
  const texts = await opened.evaluate(async ({ url, token }) => {
    const client = new tidegate.Tidegate(url, { token: async () => token });
    const subscription = client.subscribe("chat.page");
    await subscription.ready;
    for (const text of ["a", "b", "c"]) await client.publish("chat.page", text);
    const came: string[] = [];
    for await (const publication of subscription) if (came.push(publication.text()) === 3) break;
    client.close();
    return came;
  }, target);
  assert.deepEqual(texts, ["a", "b", "c"]);
  await opened.close();
});

test("a page behind a proxy that refuses upgrades is served all the same, and gets its WebSocket in the end", async (t) => {
  const proxy = await Proxy.to(server.entry.client_url);
  t.after(() => proxy.stop());
  for (const holdsStreams of [true, false]) {
    proxy.holdsStreams = holdsStreams;
    const opened = await page();
    const target = { url: proxy.url, token: await server.token("blocked") };
    const seen = await opened.evaluate(async ({ url, token }) => {
      const client = new tidegate.Tidegate(url, { token, probeMs: 500 });
      const subscription = client.subscribe("chat.blocked");
      await subscription.ready;
      Object.assign(globalThis, { client });
      await client.publish("chat.blocked", "hello");
      for await (const publication of subscription) return { transport: client.transport, text: publication.text() };
      return undefined;
    }, target);
    assert.deepEqual(seen, { transport: holdsStreams ? "polling" : "sse", text: "hello" });
    if (!holdsStreams) {
      proxy.blocksUpgrades = false;
      await opened.waitForFunction(() => (globalThis as unknown as { client: Sdk.Tidegate }).client.transport === "websocket");
    }
    await opened.close();
  }
});

test("a page goes on at another gateway when its own is killed", async () => {
  const opened = await page();
  const target = { url: server.entry.client_url, token: await server.token("resumer") };
  const gateway = await opened.evaluate(async ({ url, token }) => {
    const client = new tidegate.Tidegate(url, { token });
    const subscription = client.subscribe("chat.resumed");
    await subscription.ready;
    await client.publish("chat.resumed", "before");
    const verdict = new Promise((resolve) => subscription.on("subscribed", (again) => resolve(again.verdict)));
    Object.assign(globalThis, { client, verdict });
    return client.identity?.gateway ?? "";
  }, target);
  process.kill(server.gateway(gateway).pid, "SIGKILL");
  const end = await opened.evaluate(async () => {
    const { client, verdict } = globalThis as unknown as { client: Sdk.Tidegate; verdict: Promise<string> };
    return { verdict: await verdict, gateway: client.identity?.gateway };
  });
  assert.equal(end.verdict, "recovered");
  assert.notEqual(end.gateway, gateway);
  await opened.close();
});

test("a hidden page asks for samples where only the newest counts", async () => {
  const opened = await page();
  const target = { url: server.entry.client_url, token: await server.token("hidden") };
  const came = await opened.evaluate(async ({ url, token }) => {
    let isHidden = false;
    Object.defineProperty(document, "visibilityState", { get: () => (isHidden ? "hidden" : "visible") });
    const client = new tidegate.Tidegate(url, { token });
    const subscription = client.subscribe("chat.hidden", { background: "sampled" });
    await subscription.ready;
    isHidden = true;
    document.dispatchEvent(new Event("visibilitychange"));
    // Answers come in order: what is published now is sampled.
    await client.request("echo", "");
    const texts: string[] = [];
    const last = new Promise<void>((resolve) => {
      subscription.on("publication", (publication) => {
        texts.push(publication.text());
        if (publication.text() === "49") resolve();
      });
    });
    for (let index = 0; index < 50; index += 1) await client.publish("chat.hidden", `${index}`);
    await last;
    client.close();
    return texts.length;
  }, target);
  assert.ok(came < 25, `${came} of 50 came`);
  await opened.close();
});
