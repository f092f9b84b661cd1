/** Notices that ask for a newer token. */
const WANTED = new Set(["token_expiring", "token_revoked"]);
/** After a token that could not be had, or was not taken. */
const RETRY_MS = 5_000;

/** A newer token for a connection that stays, asked for when the gateway says that the old one ends. */
export class Renewal {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #round = 0;
  #isUnderWay = false;
  /** Heard while one was under way: if that has succeeded, it may have been about the new token. */
  #isWantedAgain = false;

  /** `renew` gets a token and gives it to the gateway. */
  constructor(private readonly renew: () => Promise<void>) {}

  hear(notice: string): void {
    if (!WANTED.has(notice)) return;
    if (this.#isUnderWay) this.#isWantedAgain = true;
    else void this.#go(this.#round);
  }

  /** The connection is gone: the next one asks for a token of its own. */
  stop(): void {
    this.#round += 1;
    this.#isUnderWay = false;
    this.#isWantedAgain = false;
    clearTimeout(this.#timer);
  }

  async #go(round: number): Promise<void> {
    clearTimeout(this.#timer);
    this.#isUnderWay = true;
    this.#isWantedAgain = false;
    try {
      await this.renew();
    } catch {
      if (round === this.#round) this.#timer = setTimeout(() => void this.#go(round), RETRY_MS);
    }
    if (round !== this.#round) return;
    this.#isUnderWay = false;
    if (this.#isWantedAgain) void this.#go(round);
  }
}
