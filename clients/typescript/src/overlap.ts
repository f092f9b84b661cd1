/** By so much the stamps of two gateways for one publication differ at most, in microseconds. */
const STAMPS_DIFFER_US = 1_000_000n;
/** What one channel remembers at most; beyond, the oldest are forgotten. */
const MOST = 4096;

interface Seen {
  readonly print: string;
  readonly at: bigint;
  /** How often the old connection brought it, less how often the new one did. */
  balance: number;
}

/** What has come of one channel while two connections bring it, so that each publication is delivered once. */
export class Overlap {
  /** With a log: the newest offset of each key. */
  readonly #keys = new Map<string, bigint>();
  /** Without one: what only one of the two has brought. */
  #unpaired: Seen[] = [];
  /** The old connection has nothing to say any more: the channel began anew on the new one. */
  ignoresOld = false;

  /** Whether this came already, or something newer of its key. */
  repeatsKey(key: string, offset: bigint): boolean {
    const newest = this.#keys.get(key);
    if (newest !== undefined && offset <= newest) return true;
    if (this.#keys.size >= MOST) this.#keys.clear();
    this.#keys.set(key, offset);
    return false;
  }

  /** Whether the other connection has brought the same already. */
  repeats(side: "old" | "new", key: string, payload: Uint8Array, at: bigint): boolean {
    const print = `${key}\0${fingerprint(payload)}`;
    const sign = side === "old" ? 1 : -1;
    const fits = (seen: Seen): boolean => seen.print === print && seen.balance === -sign;
    let index = this.#unpaired.findIndex((seen) => fits(seen) && seen.at === at);
    if (index < 0) {
      index = this.#unpaired.findIndex((seen) => fits(seen) && distance(seen.at, at) < STAMPS_DIFFER_US);
    }
    if (index >= 0) {
      this.#unpaired.splice(index, 1);
      return true;
    }
    this.#unpaired.push({ print, at, balance: sign });
    if (this.#unpaired.length > MOST) this.#unpaired.shift();
    return false;
  }
}

const distance = (a: bigint, b: bigint): bigint => (a > b ? a - b : b - a);

/** Two hashes of 32 bits (FNV-1a and a multiplicative one) beside the length: for telling equal from different, not for secrets. */
function fingerprint(bytes: Uint8Array): string {
  let a = 0x811c9dc5;
  let b = 0;
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 0x01000193);
    b = (Math.imul(b, 31) + byte) | 0;
  }
  return `${bytes.length}.${a}.${b}`;
}
