/** The hooks under StrictMode in a headless Chromium, with mounts and unmounts in the middle of everything. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import type { Tidegate } from "@tidegate/client";
import { PATIENCE, Server } from "./server.js";

interface Page {
  start(url: string, token: string): void;
  setShown(count: number): void;
  client: Tidegate;
  root: { unmount(): void };
}

test("hooks share one subscription, and leave none behind", async () => {
  const server = await Server.dev();
  const browser = await chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
  try {
    const bundle = await build({ entryPoints: ["typescript/dist-test/react.page.js"], bundle: true, write: false, format: "iife" });
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE);
    await page.addScriptTag({ content: bundle.outputFiles[0]?.text ?? "" });
    const target = { url: server.entry.client_url, token: await server.token("react") };
    await page.evaluate(({ url, token }) => (globalThis as unknown as Page).start(url, token), target);
    await page.waitForSelector('main[data-state="connected"][data-users="1"]', { state: "attached" });
    // Components come and go while publications flow.
    await page.evaluate(async () => {
      const { client, setShown } = globalThis as unknown as Page;
      for (let index = 0; index < 60; index += 1) {
        setShown(index % 4);
        await client.publish("chat.react", `${index}`);
      }
      setShown(2);
      await client.publish("chat.react", "end");
    });
    await page.waitForFunction(() => ["reader0", "reader1"].every((id) => document.getElementById(id)?.textContent === "end"));
    const presence = await page.evaluate(async () => {
      const { client, root } = globalThis as unknown as Page;
      const before = await client.presence("chat.react");
      root.unmount();
      // Behind the last Unsubscribe, as events are handled in order.
      await client.request("echo", "");
      const deadline = Date.now() + 10_000;
      let after = await client.presence("chat.react");
      while (after.sessions > 0n && Date.now() < deadline) after = await client.presence("chat.react");
      return { before: Number(before.sessions), after: Number(after.sessions), state: client.state };
    });
    assert.deepEqual(presence, { before: 1, after: 0, state: "connected" });
  } finally {
    await browser.close();
    await server.stop();
  }
});
