import { setTimeout as wait } from 'node:timers/promises';
import type { WireDataset } from '../../src/api/schemas.js';
import { BASE_PATH } from '../../src/api/limits.js';
import { eventually } from './server.js';

/** Follows a dataset's events and, when cut off, reconnects to the next instance, as a browser does. */
export class Follower {
  readonly #hangUp = new AbortController();
  readonly #running: Promise<void>;
  #last: WireDataset | undefined;

  /** @param instances called for each connection, since instances start and stop */
  constructor(id: string, options: { instances: () => readonly string[]; token: string; first: number }) {
    this.#running = this.#run(id, options);
  }

  /** Waits until the dataset of the latest event matches. @throws Error after `timeoutMs` */
  async sees(isSo: (dataset: WireDataset) => boolean, timeoutMs?: number): Promise<void> {
    await eventually(() => (this.#last !== undefined && isSo(this.#last)) || undefined, timeoutMs).catch((cause) => {
      throw new Error(`The last event was ${JSON.stringify(this.#last)}`, { cause });
    });
  }

  async stop(): Promise<void> {
    this.#hangUp.abort();
    await this.#running;
  }

  async #run(
    id: string,
    { instances, token, first }: { instances: () => readonly string[]; token: string; first: number },
  ) {
    const { signal } = this.#hangUp;
    for (let turn = first; !signal.aborted; turn++) {
      const instance = instances()[turn % instances().length];
      try {
        const headers = { authorization: `Bearer ${token}` };
        const response = await fetch(`${instance}${BASE_PATH}/${id}/events`, { headers, signal });
        let text = '';
        for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
          const events = (text + chunk).split('\n\n');
          text = events.pop() ?? '';
          for (const event of events) this.#hear(event);
        }
      } catch {
        // Cut off: the loop reconnects.
      }
      await wait(200, undefined, { signal }).catch(() => {});
    }
  }

  #hear(event: string): void {
    const text = /^data: (.*)$/m.exec(event)?.[1];
    if (text !== undefined && /^event: dataset$/m.test(event)) this.#last = JSON.parse(text);
  }
}
