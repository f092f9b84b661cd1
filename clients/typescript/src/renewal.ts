/** Notices that ask for a newer token. */
const WANTED = new Set(["token_expiring", "token_revoked"]);
/** After a token that could not be had, or was not taken. */
const RETRY_MS = 5_000;

/** A newer token for a connection that stays, asked for when the gateway says that the old one ends. */
export class Renewal {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #round = 0;
  #isUnderWay = false;

  /** `renew` gets a token and gives it to the gateway. */
  constructor(private readonly renew: () => Promise<void>) {}

  hear(notice: string): void {
    if (WANTED.has(notice) && !this.#isUnderWay) void this.#go(this.#round);
  }

  /** The connection is gone: the next one asks for a token of its own. */
  stop(): void {
    this.#round += 1;
    this.#isUnderWay = false;
    clearTimeout(this.#timer);
  }

  async #go(round: number): Promise<void> {
    clearTimeout(this.#timer);
    this.#isUnderWay = true;
    try {
      await this.renew();
    } catch {
      if (round === this.#round) this.#timer = setTimeout(() => void this.#go(round), RETRY_MS);
    }
    if (round === this.#round) this.#isUnderWay = false;
  }
}
