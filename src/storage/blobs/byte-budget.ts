import { ServiceError } from '../../dataset/errors.js';

/** How long somebody waits for room before being told to come again; less than a client may wait for an answer. */
const MAX_WAIT_MS = 90_000;

interface Waiting {
  readonly bytes: number;
  readonly enter: () => void;
}

/**
 * A number of bytes that many share: disk, or memory. Each takes all it will need before it begins and asks for no more
 * while it holds that, so nobody waits for somebody who waits; and they are served in the order in which they came, so
 * a large one is not overtaken for ever by small ones.
 */
export class ByteBudget {
  readonly bytes: number;
  readonly #purpose: string;
  #taken = 0;
  readonly #queue: Waiting[] = [];

  /** @param purpose completes "The server has no room left …" */
  constructor(bytes: number, purpose: string) {
    this.bytes = bytes;
    this.#purpose = purpose;
  }

  get used(): number {
    return this.#taken;
  }

  /**
   * Waits until there is room for so many bytes, which must not be more than there ever is.
   *
   * @throws the signal's reason; ServiceError `unavailable` where it takes too long
   */
  async acquire(bytes: number, signal: AbortSignal): Promise<Permit> {
    signal.throwIfAborted();
    if (bytes > this.bytes) throw new Error(`${bytes} bytes never fit into ${this.bytes}.`);
    if (this.#queue.length > 0 || this.#taken + bytes > this.bytes) await this.#wait(bytes, signal);
    else this.#taken += bytes;
    return new Permit(bytes, (returned) => {
      this.#taken -= returned;
      this.#admit();
    });
  }

  #wait(bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      };
      const giveUp = (error: unknown) => {
        end();
        this.#queue.splice(this.#queue.indexOf(waiting), 1);
        this.#admit();
        reject(error);
      };
      const onAbort = () => giveUp(signal.reason);
      const timer = setTimeout(() => {
        giveUp(new ServiceError('unavailable', `The server has no room left ${this.#purpose}. Try again soon.`));
      }, MAX_WAIT_MS);
      const waiting = {
        bytes,
        enter: () => {
          end();
          resolve();
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(waiting);
    });
  }

  #admit(): void {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      if (this.#taken + next.bytes > this.bytes) return;
      this.#queue.shift();
      this.#taken += next.bytes;
      next.enter();
    }
  }
}

/** Room that somebody holds. */
export class Permit {
  #bytes: number;
  readonly #giveBack: (bytes: number) => void;

  constructor(bytes: number, giveBack: (bytes: number) => void) {
    this.#bytes = bytes;
    this.#giveBack = giveBack;
  }

  /** Gives back what is not needed, and with 0 all of it. */
  shrinkTo(bytes: number): void {
    const returned = this.#bytes - Math.min(bytes, this.#bytes);
    this.#bytes -= returned;
    if (returned > 0) this.#giveBack(returned);
  }
}
