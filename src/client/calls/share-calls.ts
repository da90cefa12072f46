import type { WireNewShare, WireRevokedToken, WireToken } from '../../api/account/token-schemas.js';
import { NEW_SHARE, REVOKED_TOKEN, TOKEN_LIST } from '../answer/answer-shape.js';
import { type CallOptions, path, type Requests } from '../requests.js';

/** Lists, makes and revokes the share links of a dataset: pages that show its current files without an account. trainyard only. */
export class ShareCalls {
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /**
   * Lists the shares of a dataset that are not revoked, oldest first, without their links.
   * @example const shares = await client.shares.list(dataset.id);
   */
  async list(id: string, options: CallOptions = {}): Promise<WireToken[]> {
    return (await this.#requests.json('GET', `${path(id)}/shares`, TOKEN_LIST, options)).tokens;
  }

  /**
   * Makes a link to the page of a dataset, which shows and downloads its current files. It expires after a week by default,
   * and can't be read again.
   * @example const { url, expires_at } = await client.shares.make(dataset.id, { name: 'Ada', expiresInSeconds: 86_400 });
   */
  make(
    id: string,
    { name, expiresInSeconds, ...options }: CallOptions & { name?: string; expiresInSeconds?: number } = {},
  ): Promise<WireNewShare> {
    const body = { name, expires_in: expiresInSeconds };
    return this.#requests.json('POST', `${path(id)}/shares`, NEW_SHARE, { body, isRepeatable: false, ...options });
  }

  /**
   * Revokes a share of a dataset: its link no longer opens the page.
   * @example await client.shares.revoke(dataset.id, '3f9a1c20');
   */
  revoke(id: string, shareId: string, options: CallOptions = {}): Promise<WireRevokedToken> {
    return this.#requests.json('DELETE', `${path(id)}/shares${path(shareId)}`, REVOKED_TOKEN, options);
  }
}
