/** Starts real `tidegate` processes for tests; TIDEGATE names the binary. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import WebSocket from "ws";
import { Tidegate, type TidegateOptions } from "@tidegate/client";

/** For each single wait, in milliseconds; only reached by a failure. */
export const PATIENCE = 30_000;
const binary = process.env["TIDEGATE"] ?? "tidegate";
const run = promisify(execFile);

export interface Announced {
  readonly role?: string;
  readonly pid: number;
  readonly gateway: string;
  readonly client_url: string;
  readonly grpc_url: string;
  readonly event?: string;
}

export class Server {
  private constructor(private readonly child: ChildProcess, readonly announced: Announced[]) {}

  static dev(): Promise<Server> {
    return Server.#start(["dev", "--admin-port", "0"], () => true);
  }

  static cluster(gateways = 2): Promise<Server> {
    return Server.#start(["cluster", "--gateways", `${gateways}`], ({ event }) => event === "ready");
  }

  static async #start(args: string[], isLast: (line: Announced) => boolean): Promise<Server> {
    const options = ["--client-port", "0", "--grpc-port", "0", "--json"];
    const child = spawn(binary, [...args, ...options], { stdio: ["ignore", "pipe", "ignore"] });
    const announced: Announced[] = [];
    const lines = createInterface({ input: child.stdout });
    await within(
      "starting",
      new Promise<void>((resolve, reject) => {
        child.once("exit", (code) => reject(new Error(`tidegate ended with ${code}`)));
        lines.on("line", (line) => {
          announced.push(JSON.parse(line) as Announced);
          if (isLast(announced.at(-1) as Announced)) resolve();
        });
      }),
    );
    return new Server(child, announced);
  }

  get entry(): Announced {
    return this.announced.find(({ event }) => event === "ready") ?? (this.announced[0] as Announced);
  }

  gateway(name: string): Announced {
    return this.announced.find(({ gateway }) => gateway === name) as Announced;
  }

  /** Runs a command of the command line at this server's control plane. */
  async cli(...args: string[]): Promise<string> {
    const { stdout } = await run(binary, [...args, "--grpc", this.entry.grpc_url], { timeout: PATIENCE });
    return stdout.trim();
  }

  async token(user: string, ...options: string[]): Promise<string> {
    return this.cli("token", "--user", user, ...options);
  }

  client(user: string, options: Partial<TidegateOptions> = {}): Tidegate {
    return new Tidegate(this.entry.client_url, {
      token: () => this.token(user),
      WebSocket: WebSocket as never,
      ...options,
    });
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGTERM");
    await within("stopping", ended);
  }
}

export async function within<T>(what: string, promise: Promise<T>, ms = PATIENCE): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Waits for an event that fits. */
export function until<T>(what: string, on: (listener: (event: T) => void) => () => void, fits: (event: T) => boolean = () => true): Promise<T> {
  let stop = (): void => {};
  const came = new Promise<T>((resolve) => (stop = on((event) => fits(event) && resolve(event))));
  return within(what, came).finally(() => stop());
}

/** Asks again and again. */
export async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}
