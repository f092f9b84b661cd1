/** What a reader by `for await` has not taken yet. Bounded: what does not fit pushes out the oldest. */
export class Queue<T> implements AsyncIterableIterator<T> {
  #items: T[] = [];
  #head = 0;
  #wake: ((result: IteratorResult<T>) => void)[] = [];
  #isClosed = false;

  constructor(
    private readonly most: number,
    private readonly pushedOut: (item: T) => void,
    private readonly ended: () => void,
  ) {}

  push(item: T): void {
    if (this.#isClosed) return;
    const wake = this.#wake.shift();
    if (wake) return wake({ value: item, done: false });
    this.#items.push(item);
    if (this.#items.length - this.#head > this.most) this.pushedOut(this.#take());
  }

  /** What is queued can still be read. */
  close(): void {
    this.#isClosed = true;
    for (const wake of this.#wake.splice(0)) wake({ value: undefined, done: true });
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#items.length > this.#head) return Promise.resolve({ value: this.#take(), done: false });
    if (this.#isClosed) return Promise.resolve({ value: undefined, done: true });
    return new Promise((wake) => this.#wake.push(wake));
  }

  return(): Promise<IteratorResult<T>> {
    this.close();
    this.#items = [];
    this.#head = 0;
    this.ended();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take(): T {
    const item = this.#items[this.#head] as T;
    this.#items[this.#head++] = undefined as T;
    if (this.#head > 1024) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
