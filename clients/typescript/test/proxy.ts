/** Proxies as they stand in the way of WebSockets. */
import { type Server, type Socket, connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";

/** Lets requests through; what it does to upgrades and to streams can be changed at any time. */
export class Proxy {
  blocksUpgrades = true;
  /** Answers of server-sent events get stuck. */
  holdsStreams = false;
  upgrades = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(readonly target: URL) {
    this.#server = createServer((client) => this.#serve(client));
  }

  static async to(url: string): Promise<Proxy> {
    const proxy = new Proxy(new URL(url));
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `ws://127.0.0.1:${port}${this.target.pathname}`;
  }

  #serve(client: Socket): void {
    this.#sockets.add(client);
    client.on("error", () => {});
    client.on("close", () => this.#sockets.delete(client));
    client.once("data", (head: Buffer) => {
      const text = head.toString("latin1").toLowerCase();
      const isUpgrade = text.includes("\r\nupgrade: websocket");
      if (isUpgrade && this.blocksUpgrades) return void client.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
      if (isUpgrade) this.upgrades += 1;
      const server = connect(Number(this.target.port), this.target.hostname);
      server.on("error", () => client.destroy());
      client.on("error", () => server.destroy());
      server.on("close", () => client.destroy());
      client.on("close", () => server.destroy());
      server.write(head);
      client.pipe(server);
      server.pipe(client);
      const hold = (request: Buffer): void => {
        if (!this.holdsStreams || !request.toString("latin1").toLowerCase().startsWith("post /v1/sse")) return;
        server.unpipe(client);
        server.resume();
      };
      hold(head);
      client.on("data", hold);
    });
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
