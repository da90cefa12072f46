import type { WireRecheck } from '../../api/recheck-schema.js';
import { RECHECK } from '../answer/answer-shape.js';
import { type CallOptions, path, type Requests } from '../requests.js';

/** Inspects files again that were accepted before. trainyard only. */
export class RecheckCalls {
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /**
   * Starts to inspect all files of a dataset again, in the background. Does nothing if that is running already.
   * @example const { total } = await client.rechecks.start(dataset.id);
   */
  start(id: string, options: CallOptions = {}): Promise<WireRecheck> {
    return this.#requests.json('POST', `${path(id)}/recheck`, RECHECK, options);
  }

  /**
   * Gets the progress of the last recheck of a dataset, and the problems of its files.
   * @example const { state, checked, problems } = await client.rechecks.progress(dataset.id);
   */
  progress(id: string, options: CallOptions = {}): Promise<WireRecheck> {
    return this.#requests.json('GET', `${path(id)}/recheck`, RECHECK, options);
  }
}
