import type { WireNewToken, WireRevokedToken, WireToken } from '../../api/account/token-schemas.js';
import { NEW_TOKEN, REVOKED_TOKEN, TOKEN_LIST } from '../answer/answer-shape.js';
import { type CallOptions, path, queryOf, type Requests } from '../requests.js';

/** The rights of a new token; by default it has those of the token that makes it. */
export interface NewTokenRights {
  /** Who or what uses it, for the history of datasets. */
  readonly name?: string | undefined;
  readonly readOnly?: boolean;
  /** Names or ids of the datasets that it is bound to. */
  readonly datasets?: readonly string[] | undefined;
  readonly expiresInSeconds?: number | undefined;
}

/** Lists, makes and revokes the tokens of the account. trainyard only. */
export class TokenCalls {
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /**
   * Lists the tokens, sessions and shares of the account that are not revoked, oldest first, without their secrets. A token
   * that is bound to datasets sees only itself.
   * @example for (const { name, hint, last_used_at } of await client.tokens.list()) console.log(name ?? hint, last_used_at);
   */
  async list(options: CallOptions = {}): Promise<WireToken[]> {
    return (await this.#requests.json('GET', '/tokens', TOKEN_LIST, options)).tokens;
  }

  /**
   * Makes a token. Its secret can't be read again. Only a token that may change all datasets makes others, none of which
   * outlives it.
   * @example const { secret } = await client.tokens.make({ name: 'gpu', readOnly: true, datasets: ['railway'] });
   */
  make(rights: NewTokenRights = {}, options: CallOptions = {}): Promise<WireNewToken> {
    const { name, readOnly, datasets, expiresInSeconds } = rights;
    const body = { name, read_only: readOnly, datasets, expires_in: expiresInSeconds };
    // If the answer of the first attempt was lost, a second one would make another token.
    return this.#requests.json('POST', '/tokens', NEW_TOKEN, { body, isRepeatable: false, ...options });
  }

  /**
   * Revokes a token, session or share for good. The sessions and shares that a token made end with it and, with `withMade`,
   * the tokens too. `current` says whether the token of this client is among them.
   * @example const { revoked, current } = await client.tokens.revoke('3f9a1c20');
   */
  revoke(id: string, { withMade, ...options }: CallOptions & { withMade?: boolean } = {}): Promise<WireRevokedToken> {
    const query = queryOf({ with_made: withMade ? 'true' : undefined });
    return this.#requests.json('DELETE', `/tokens${path(id)}${query}`, REVOKED_TOKEN, options);
  }
}
