/** The hooks under StrictMode in a headless Chromium, with mounts and unmounts in the middle of everything. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";
import type { Tidegate } from "@tidegate/client";
import { eventually, PATIENCE, Server } from "./server.js";

/** What the page's script leaves in its global object. */
interface Script {
  start(url: string, token: string): void;
  setShown(count: number): void;
  churn(url: string, token: string): void;
  stopChurning(): void;
  round: number;
  came: string[];
  errors: string[];
  client: Tidegate;
  root: { unmount(): void };
}

function launched(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
}

async function opened(browser: Browser): Promise<Page> {
  const bundle = await build({ entryPoints: ["typescript/dist-test/react.page.js"], bundle: true, write: false, format: "iife" });
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  await page.addScriptTag({ content: bundle.outputFiles[0]?.text ?? "" });
  return page;
}

/** How many sessions read a channel before the tree is taken down, and once the gateway has heard of that. */
function takenDown(page: Page, channel: string): Promise<{ before: number; after: number }> {
  return page.evaluate(async (channel) => {
    const { client, root } = globalThis as unknown as Script;
    const before = await client.presence(channel);
    root.unmount();
    const deadline = Date.now() + 10_000;
    let after = await client.presence(channel);
    while (after.sessions > 0n && Date.now() < deadline) after = await client.presence(channel);
    return { before: Number(before.sessions), after: Number(after.sessions) };
  }, channel);
}

test("hooks share one subscription, and leave none behind", async () => {
  const server = await Server.dev();
  const browser = await launched();
  try {
    const page = await opened(browser);
    const target = { url: server.entry.client_url, token: await server.token("react") };
    await page.evaluate(({ url, token }) => (globalThis as unknown as Script).start(url, token), target);
    await page.waitForSelector('main[data-state="connected"][data-users="1"]', { state: "attached" });
    // Components come and go while publications flow.
    await page.evaluate(async () => {
      const { client, setShown } = globalThis as unknown as Script;
      for (let index = 0; index < 60; index += 1) {
        setShown(index % 4);
        await client.publish("chat.react", `${index}`);
      }
      setShown(2);
      await client.publish("chat.react", "end");
    });
    await page.waitForFunction(() => ["reader0", "reader1"].every((id) => document.getElementById(id)?.textContent === "end"));
    assert.deepEqual(await takenDown(page, "chat.react"), { before: 1, after: 0 });
    assert.equal(await page.evaluate(() => (globalThis as unknown as Script).client.state), "connected");
    assert.deepEqual(await page.evaluate(() => (globalThis as unknown as Script).errors), []);
  } finally {
    await browser.close();
    await server.stop();
  }
});

test("components come and go while gateways are drained and killed: nothing is missed, doubled or left", async () => {
  const server = await Server.cluster(3);
  const browser = await launched();
  const writer = server.client("writer");
  try {
    const page = await opened(browser);
    const target = { url: server.entry.client_url, token: await server.token("churn") };
    await page.evaluate(({ url, token }) => (globalThis as unknown as Script).churn(url, token), target);
    await page.waitForSelector('main[data-state="connected"]', { state: "attached" });
    // The keeper's subscription stands.
    await page.evaluate(async () => {
      const own = (globalThis as unknown as Script).client.subscribe("chat.churn");
      await own.ready;
      own.unsubscribe();
    });
    const gateway = (): Promise<string> => page.evaluate(() => (globalThis as unknown as Script).client.identity?.gateway ?? "");
    const moved = (from: string): Promise<unknown> =>
      page.waitForFunction((from) => {
        const { client } = globalThis as unknown as Script;
        return client.state === "connected" && client.identity?.gateway !== from;
      }, from);
    let written = 0;
    let isOver = false;
    const writing = (async () => {
      for (; !isOver; written += 1) {
        await writer.publish("chat.churn", `${written}`, { publicationId: `churn-${written}` });
        // At a pace at which the channel's log holds more than an outage takes.
        await new Promise((wake) => setTimeout(wake, 50));
      }
    })();
    const first = await gateway();
    await Promise.all([server.cli("drain", first), moved(first)]);
    const second = await gateway();
    process.kill(server.gateway(second).pid, "SIGKILL");
    await moved(second);
    isOver = true;
    await writing;
    await page.evaluate(() => (globalThis as unknown as Script).stopChurning());
    await page.waitForFunction((last) => (globalThis as unknown as Script).came.at(-1) === last, `${written - 1}`);
    const { came, errors, round } = await page.evaluate(() => {
      const { came, errors, round } = globalThis as unknown as Script;
      return { came, errors, round };
    });
    assert.deepEqual(came, Array.from({ length: written }, (_, index) => `${index}`));
    assert.deepEqual(errors, []);
    assert.ok(round > 100, `rounds: ${round}`);
    const readers = async (nth: number): Promise<bigint> => (await writer.presence(`chat.churn.${nth}`)).sessions;
    for (const nth of [0, 1, 2, 3, 4]) await eventually(`leaving chat.churn.${nth}`, async () => (await readers(nth)) === 0n);
    assert.deepEqual(await takenDown(page, "chat.churn"), { before: 1, after: 0 });
  } finally {
    writer.close();
    await browser.close();
    await server.stop();
  }
});
