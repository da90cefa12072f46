import type { WireLinkStates } from '../../api/pair-schemas.js';
import type { WireLinkSlot } from '../../api/values.js';
import { LINK_STATES } from '../answer/answer-shape.js';
import { type CallOptions, path, type Requests } from '../requests.js';

/** Links training datasets to their controls and masks. trainyard only. */
export class PairCalls {
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /**
   * Gets the controls and the mask of a training dataset, and the stems whose pairs are wrong.
   * @example const { links, status } = await client.pairs.links(dataset.id);
   */
  links(id: string, options: CallOptions = {}): Promise<WireLinkStates> {
    return this.#requests.json('GET', `${path(id)}/pairs`, LINK_STATES, options);
  }

  /**
   * Replaces the controls and the mask of a training dataset, each given by id or name. What is missing has no link then.
   * @example const { links } = await client.pairs.setLinks(dataset.id, { control_1: 'railway-depth' });
   */
  setLinks(
    id: string,
    links: Partial<Record<WireLinkSlot, string | null | undefined>>,
    options: CallOptions = {},
  ): Promise<WireLinkStates> {
    return this.#requests.json('PUT', `${path(id)}/links`, LINK_STATES, { body: links, ...options });
  }
}
