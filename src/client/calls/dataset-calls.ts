import type { WireDataset } from '../../api/schemas.js';
import type { WireRole } from '../../api/values.js';
import { DATASET } from '../answer/answer-shape.js';
import { type CallOptions, path, type Requests } from '../requests.js';

/** Changes what a dataset is called and what it is for. trainyard only. */
export class DatasetCalls {
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /**
   * Changes the name and the role of a dataset; what is missing stays. Its id, files, history, links and tokens stay, too.
   * @example await client.datasets.change(dataset.id, { name: 'railway-depth', role: 'control' });
   */
  change(id: string, changes: { name?: string; role?: WireRole }, options: CallOptions = {}): Promise<WireDataset> {
    return this.#requests.json('PATCH', path(id), DATASET, { body: changes, ...options });
  }
}
