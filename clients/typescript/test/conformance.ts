/** This SDK as a client under test, for `tidegate conformance -- node dist-test/conformance.js`: a task a line in, a report a line out. */
import { createInterface } from "node:readline";
import { WebSocket } from "ws";
import { ErrorCode, type Subscription, Tidegate, TidegateError, type WebSocketClass } from "@tidegate/client";

type Task =
  | { do: "connect"; url: string }
  | { do: "subscribe"; channel: string }
  | { do: "publish"; call: number; channel: string; payload: string; publication_id: string }
  | { do: "request"; call: number; route: string; payload: string; idempotency_key: string }
  | { do: "close" };

let client: Tidegate | undefined;

function tell(report: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(report, (_, value) => (typeof value === "bigint" ? Number(value) : value))}\n`);
}

function connect(url: string): Tidegate {
  let asked = 0;
  const connected = new Tidegate(url, {
    token: () => `token-${++asked}`,
    WebSocket: WebSocket as unknown as WebSocketClass,
    transports: ["websocket"],
    clientName: "conformance",
  });
  connected.on("state", ({ state, ending }) => {
    const standing = state === "disconnected" ? "connecting" : state;
    tell({ saw: "state", state: standing, ...(state === "closed" && { code: ending?.code, cause: ending?.cause }) });
  });
  connected.on("message", (direct) => tell({ saw: "direct", offset: direct.offset, payload: direct.text() }));
  connected.on("messageGap", (gap) => tell({ saw: "direct_gap", ...gap }));
  connected.on("notice", ({ kind }) => tell({ saw: "notice", kind }));
  return connected;
}

function follow(subscription: Subscription): void {
  const { channel } = subscription;
  subscription.on("subscribed", ({ verdict }) => tell({ saw: "subscribed", channel, verdict }));
  subscription.on("publication", (publication) => {
    tell({ saw: "publication", channel, offset: publication.offset, payload: publication.text(), snapshot: publication.isSnapshot });
  });
  subscription.on("gap", ({ from, to }) => tell({ saw: "gap", channel, from, to }));
  subscription.on("unsubscribed", (error) => error && tell({ saw: "ended", channel }));
}

async function answer(call: number, outcome: Promise<string>): Promise<void> {
  const [payload, error] = await outcome.then(
    (text) => [text, ""],
    (reason: unknown) => ["", errorOf(reason)],
  );
  tell({ saw: "answer", call, payload, error });
}

function errorOf(reason: unknown): string {
  if (!(reason instanceof TidegateError)) return String(reason);
  return reason.code === ErrorCode.UNSPECIFIED ? reason.kind : (ErrorCode[reason.code] ?? String(reason.code));
}

function perform(task: Task): void {
  if (task.do === "connect") {
    client = connect(task.url);
    return;
  }
  if (!client) throw new Error(`no client for ${task.do}`);
  if (task.do === "subscribe") follow(client.subscribe(task.channel));
  else if (task.do === "publish") {
    const options = { publicationId: task.publication_id };
    void answer(task.call, client.publish(task.channel, task.payload, options).then(() => ""));
  } else if (task.do === "request") {
    const options = { idempotencyKey: task.idempotency_key };
    void answer(task.call, client.request(task.route, task.payload, options).then((body) => body.text()));
  } else client.close();
}

for await (const line of createInterface({ input: process.stdin })) perform(JSON.parse(line) as Task);
process.exit(0);
