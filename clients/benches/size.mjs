/** What a page has to load for each client: bundled, minified, gzipped. `npm run size` */
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const ENTRIES = {
  "@tidegate/client": 'export { Tidegate } from "@tidegate/client";',
  "@tidegate/client and @tidegate/react, without React": 'export * from "@tidegate/client"; export * from "@tidegate/react";',
  "socket.io-client": 'export { io } from "socket.io-client";',
};

for (const [name, contents] of Object.entries(ENTRIES)) {
  const stdin = { contents, resolveDir: import.meta.dirname };
  const built = await build({ stdin, bundle: true, minify: true, write: false, format: "esm", platform: "browser", external: ["react"] });
  const { contents: bytes } = built.outputFiles[0];
  console.log(`${name}: ${(bytes.length / 1000).toFixed(1)} kB, ${(gzipSync(bytes, { level: 9 }).length / 1000).toFixed(1)} kB gzipped`);
}
