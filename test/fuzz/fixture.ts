import { BASE_PATH } from '../../src/api/limits.js';
import { jpeg } from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { revokeToken, type TestServer } from '../harness/server.js';
import type { FuzzRequest } from './requests.js';

/** The values that stand for names such as `__ID__` in a request. */
export type Fixture = Readonly<Record<string, string>>;

const picture = await jpeg({ width: 40, height: 40 });

/** Makes the datasets, tokens and links that requests refer to, and makes them anew after a request has changed them. */
export class Fixtures {
  readonly #api: Api;
  readonly #tokens: Fixture;
  #current: Fixture | undefined;

  private constructor(api: Api, tokens: Fixture) {
    this.#api = api;
    this.#tokens = tokens;
  }

  static async of(server: TestServer): Promise<Fixtures> {
    const [api, other, revoked] = [await server.api(), await server.api('other'), await server.api()];
    await revokeToken(server, revoked.token);
    return new Fixtures(api, {
      TOKEN: api.token,
      OTHER_TOKEN: other.token,
      REVOKED_TOKEN: revoked.token,
      OTHER_ID: await other.newDataset(),
    });
  }

  async current(): Promise<Fixture> {
    this.#current ??= await this.#make();
    return this.#current;
  }

  async #make(): Promise<Fixture> {
    const api = this.#api;
    const { id, name } = (await api.create()).body;
    const deletedId = await api.newDataset();
    await api.raw('DELETE', `/${deletedId}`);
    const { sha256 } = (await api.upload(id, 'a.jpg', picture)).body;
    await api.upload(id, 'a.txt', 'a red wagon');
    await api.upload(id, 'bad.jpg', 'not a picture');
    const link = new URL(await api.link(id, 'pending.txt', 5));
    const { query } = (await api.request<{ query: string }>('GET', `/${id}/download-link`)).body;
    const own = (await api.request<{ webhooks: { id: string }[] }>('GET', '/webhooks')).body;
    for (const webhook of own.webhooks) await api.raw('DELETE', `/webhooks/${webhook.id}`);
    // Its receiver refuses connections.
    const webhook = (await api.json<{ id: string }>('POST', '/webhooks', { url: 'http://127.0.0.1:9/' })).body;
    const delivery = (await api.request<{ id: string }>('POST', `/webhooks/${webhook.id}/test`)).body;
    const token = (await api.json<{ id: string }>('POST', '/tokens', {})).body;
    const share = (await api.json<{ id: string }>('POST', `/${id}/shares`, {})).body;
    const control = (await api.json<{ id: string }>('POST', '', { role: 'control' })).body;
    await api.json('PUT', `/${id}/groups/g`, { add: ['a.jpg'] });
    await api.json('PUT', '/caption-presets/mine', { prompt: 'Describe {name}.' });
    const cursor = (await api.list('?limit=1')).body.next_cursor;
    const { account = '', expires = '', signature = '' } = Object.fromEntries(new URLSearchParams(query));
    return {
      ...this.#tokens,
      ID: id,
      NAME: name,
      DELETED_ID: deletedId,
      SHA256: sha256,
      WEBHOOK_ID: webhook.id,
      DELIVERY_ID: delivery.id,
      TOKEN_ID: token.id,
      SHARE_ID: share.id,
      CONTROL_ID: control.id,
      CURSOR: cursor ?? '',
      LINK_ID: link.pathname.split('/').at(-1) ?? '',
      LINK_EXPIRES: link.searchParams.get('expires') ?? '',
      LINK_SIGNATURE: encodeURIComponent(link.searchParams.get('signature') ?? ''),
      ACCOUNT: account,
      READ_EXPIRES: expires,
      READ_SIGNATURE: encodeURIComponent(signature),
    };
  }

  /** Removes what a successful request has made, and the fixture if the request has changed it. */
  async afterSuccess({ method, path }: FuzzRequest, body: Buffer): Promise<void> {
    const [target = ''] = path.split('?');
    if (method === 'POST' && target === BASE_PATH) {
      const { id } = JSON.parse(body.toString()) as { id: string };
      await this.#api.raw('DELETE', `/${id}`);
    } else if (/^(PUT|PATCH|DELETE)$/.test(method) || /\/(upload|get-upload-endpoint|webhooks)$/.test(target)) {
      if (this.#current !== undefined) await this.#api.raw('DELETE', `/${this.#current.ID}`);
      this.#current = undefined;
    }
  }
}

/** A request with the fixture's values in place of their names. */
export function filledIn(request: FuzzRequest, fixture: Fixture): FuzzRequest {
  const fill = (text: string) => text.replaceAll(/__([A-Z0-9_]+?)__/g, (name, key) => fixture[key] ?? name);
  const body = request.body && Buffer.from(fill(request.body.toString('latin1')), 'latin1');
  return {
    method: request.method,
    path: fill(request.path),
    headers: request.headers.map(([name, value]) => [name, fill(value)] as const),
    body,
  };
}
