// Two pages of a real Chromium set up a data channel by signals, leave Tidegate and go on
// talking.
//
//     node webrtc.cjs ANNOUNCEMENT PROTO SCRATCH
//
// EXAMPLE names the folder of the page, CHROMIUM the browser.

"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs/promises");
const http = require("node:http");
const path = require("node:path");
const { chromium } = require("playwright-core");

// For each single wait, in milliseconds.
const PATIENCE = 20_000;

const TYPES = { ".html": "text/html", ".js": "text/javascript" };

const { client_url: gateway, token } = JSON.parse(process.argv[2]);
const folder = process.env.EXAMPLE;

/** Serves the page. */
async function serve() {
  const server = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const file = path.basename(pathname === "/" ? "index.html" : pathname);
    try {
      const body = await fs.readFile(path.join(folder, file));
      response.setHeader("content-type", TYPES[path.extname(file)] ?? "text/plain");
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return server;
}

async function main() {
  const server = await serve();
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
    timeout: 3 * PATIENCE,
  });
  try {
    const query = new URLSearchParams({ gateway, token });
    const address = `http://localhost:${server.address().port}/?${query}`;
    const pages = [await browser.newPage(), await browser.newPage()];
    for (const page of pages) {
      page.setDefaultTimeout(PATIENCE);
      page.on("pageerror", (error) => assert.fail(error));
      await page.goto(address);
    }
    const [one, other] = pages;
    const has = (page, text) => page.locator("#log li", { hasText: text }).first().waitFor();
    const say = async (page, text) => {
      await page.locator("#text").fill(text);
      await page.locator("#text").press("Enter");
    };
    for (const page of pages) await has(page, "a direct connection");
    console.log("two pages have a data channel");
    await say(one, "hello");
    await has(other, ": hello");
    for (const page of pages) {
      await page.locator("#leave").click();
      await has(page, "closed (1000");
    }
    await say(other, "without a gateway");
    await has(one, ": without a gateway");
    console.log("and talk without Tidegate");
  } finally {
    await browser.close();
    server.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
