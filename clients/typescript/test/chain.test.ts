/** Without a server: the rules of chains, moves and back-off. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "../dist/backoff.js";
import { Chain } from "../dist/chain.js";
import { verdictOf } from "../dist/ending.js";
import { Verdict, type Position } from "../dist/gen/tidegate/client/v1/types_pb.js";
import { Overlap } from "../dist/overlap.js";

const position = (offset: bigint): Position => ({ $typeName: "tidegate.client.v1.Position", epoch: "e", offset });

function chainAt(offset: bigint): Chain {
  const chain = new Chain();
  chain.subscribed(Verdict.FRESH, position(offset));
  return chain;
}

test("a missing predecessor breaks the chain once", () => {
  const chain = chainAt(5n);
  assert.deepEqual(chain.next(8n, 7n, false), { from: 6n, to: 7n });
  assert.equal(chain.next(9n, 8n, false), "in_order");
  assert.equal(chain.next(9n, 8n, false), "duplicate");
});

test("what the gateway reported is no break, and is not asked for again", () => {
  const chain = chainAt(5n);
  chain.reported(7n);
  assert.deepEqual(chain.position(), { epoch: "e", offset: 7n });
  assert.equal(chain.next(8n, 7n, false), "in_order");
});

test("a snapshot is not checked and what follows it is", () => {
  const chain = chainAt(5n);
  assert.equal(chain.next(3n, 1n, false), "snapshot");
  assert.equal(chain.next(5n, 4n, false), "snapshot");
  assert.equal(chain.next(6n, 5n, false), "in_order");
  assert.deepEqual(chain.next(9n, 8n, false), { from: 7n, to: 8n });
});

test("nothing goes on from half a snapshot", () => {
  const chain = new Chain();
  chain.subscribed(Verdict.RESNAPSHOT, position(5n));
  assert.equal(chain.next(3n, 1n, true), "snapshot");
  assert.equal(chain.position(), undefined);
  assert.equal(chain.next(5n, 4n, true), "snapshot");
  assert.deepEqual(chain.position(), { epoch: "e", offset: 5n });
});

test("what is conflated need not join", () => {
  const chain = chainAt(5n);
  chain.expectLess(true);
  assert.equal(chain.next(9n, 8n, true), "in_order");
  chain.expectLess(false);
  assert.equal(chain.next(12n, 11n, true), "in_order");
  assert.equal(chain.next(13n, 12n, true), "in_order");
  assert.deepEqual(chain.next(15n, 14n, true), { from: 14n, to: 14n });
});

test("two connections' publications count once, also where the stamps differ", () => {
  const overlap = new Overlap();
  const payload = new Uint8Array([1]);
  assert.equal(overlap.repeats("old", "", payload, 1_000n), false);
  assert.equal(overlap.repeats("old", "", payload, 1_000n), false);
  assert.equal(overlap.repeats("new", "", payload, 1_700n), true);
  assert.equal(overlap.repeats("new", "", payload, 1_000n), true);
  assert.equal(overlap.repeats("new", "", payload, 5_000_000n), false);
  assert.equal(overlap.repeatsKey("k", 7n), false);
  assert.equal(overlap.repeatsKey("k", 6n), true);
});

test("waits double up to a cap, and never end before the gateway's own word", () => {
  const backoff = new Backoff(() => 1);
  const lost = { code: 1006, cause: "", message: "", retryAfterMs: 0 };
  const waits = Array.from({ length: 9 }, () => backoff.after(lost, 0));
  assert.deepEqual(waits.slice(0, 4), [200, 400, 800, 1600]);
  assert.equal(waits[8], 20_000);
  assert.equal(backoff.after({ ...lost, retryAfterMs: 30_000 }, 0), 30_000);
  assert.equal(backoff.after(lost, 5_000), 200);
  const place = { ...lost, cause: "admission_rate", retryAfterMs: 1_234 };
  assert.equal(backoff.after(place, 0), 1_234);
});

test("a gateway that says now is believed once", () => {
  const backoff = new Backoff(() => 1);
  const draining = { code: 4200, cause: "draining", message: "", retryAfterMs: 0 };
  assert.equal(backoff.after(draining, 0), 0);
  assert.notEqual(backoff.after(draining, 0), 0);
});

test("the code says whether to come back", () => {
  const of = (code: number): string => verdictOf({ code, cause: "", message: "", retryAfterMs: 0 });
  assert.deepEqual([1000, 4002, 4101, 4200, 1006, 1012].map(of), ["stay", "stay", "reconnect", "resume", "reconnect", "reconnect"]);
});
