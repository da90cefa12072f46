import { setTimeout as wait } from 'node:timers/promises';
import type { WireDataset } from '../../src/api/schemas.js';
import { BASE_PATH } from '../../src/api/base-path.js';
import { eventually } from './server.js';

/** Somebody who listens to a dataset's events and, cut off, listens again at the next instance, as a browser would. */
export class Follower {
  readonly #hangUp = new AbortController();
  readonly #running: Promise<void>;
  #last: WireDataset | undefined;

  /** @param instances asked for anew each time, since they come and go */
  constructor(id: string, options: { instances: () => readonly string[]; token: string; first: number }) {
    this.#running = this.#run(id, options);
  }

  /** The dataset as the last event has it, once it is like that. @throws Error after `timeoutMs` */
  async sees(isSo: (dataset: WireDataset) => boolean, timeoutMs: number): Promise<void> {
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
        // Cut off, which is what following again is for.
      }
      await wait(200, undefined, { signal }).catch(() => {});
    }
  }

  #hear(event: string): void {
    const text = /^data: (.*)$/m.exec(event)?.[1];
    if (text !== undefined && /^event: dataset$/m.test(event)) this.#last = JSON.parse(text);
  }
}
