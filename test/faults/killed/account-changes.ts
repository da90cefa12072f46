import type { WireNewShare, WireNewToken, WireTokenList } from '../../../src/api/account-schemas.js';
import { BASE_PATH } from '../../../src/api/limits.js';
import type { WireLinkStates, WireRecheck } from '../../../src/api/schemas.js';
import type { WireDelivery, WireWebhook } from '../../../src/api/webhook-schemas.js';
import { Api } from '../../harness/api.js';
import { startReceiver } from '../../harness/receiver.js';
import { eventually } from '../../harness/server.js';
import { type Attempt, type Change, datasetWith, each, eachOf, must, several } from './change.js';
import { revisionsOf } from './dataset-changes.js';

const PAGE = { 'trainyard-page': '1' };

/** The tokens, sessions or shares that a list has of these ids or names. */
async function listed(api: Api, path: string, idOrName: string): Promise<number> {
  const { tokens } = must(await api.request<WireTokenList>('GET', path));
  return tokens.filter(({ id, name }) => id === idOrName || name === idOrName).length;
}

const answers = async (api: Api, secret: string) => (await new Api(api.url, secret).raw('GET', '/account')).status;
const newToken = async (api: Api, name: string) => must(await api.json<WireNewToken>('POST', '/tokens', { name }));

async function webhooksOf(api: Api): Promise<WireWebhook[]> {
  return must(await api.request<{ webhooks: WireWebhook[] }>('GET', '/webhooks')).webhooks;
}

/** An account has at most ten webhooks. */
async function removeWebhooks(api: Api): Promise<void> {
  for (const { id } of await webhooksOf(api)) must(await api.request('DELETE', `/webhooks/${id}`));
}

async function newWebhooks(api: Api, url = 'http://127.0.0.1:9/before'): Promise<string[]> {
  await removeWebhooks(api);
  return several(async () => must(await api.json<{ id: string }>('POST', '/webhooks', { url })).id);
}

async function deliveriesOf(api: Api, id: string): Promise<WireDelivery[]> {
  return must(await api.request<{ deliveries: WireDelivery[] }>('GET', `/webhooks/${id}/deliveries`)).deliveries;
}

/** Signs in as the page does. */
async function signIn({ url, token }: Api) {
  const answer = await new Api(url, token).request<{ id: string }>('POST', '/session', { headers: PAGE });
  return { ...answer, cookie: answer.headers.getSetCookie()[0]?.split(';')[0] ?? '' };
}

/** Changes of what belongs to an account, and of what datasets have beside files. */
export const ACCOUNT_CHANGES: Readonly<Record<string, Change>> = {
  'links between datasets': {
    operations: ['PUT /{id}/links'],
    prepare: async (first) => {
      const ids = await several((i) => datasetWith(first, [`${i}.jpg`]));
      const linked = await several((i) => datasetWith(first, [`${i}.jpg`]));
      const [a = '', b = '', c = '', mask = ''] = linked;
      for (const id of [a, b, c]) must(await first.json('PATCH', `/${id}`, { role: 'control' }));
      must(await first.json('PATCH', `/${mask}`, { role: 'mask' }));
      return async (api, round) => {
        const after =
          round % 2 === 0 ? { control_1: a, control_2: b, mask } : { control_1: c, control_2: a, control_3: b };
        return ids.map((id) => ({
          act: () => api.json('PUT', `/${id}/links`, after),
          read: async (now) => {
            const { links } = must(await now.request<WireLinkStates>('GET', `/${id}/pairs`));
            return Object.fromEntries(Object.entries(links).map(([slot, link]) => [slot, link?.dataset_id]));
          },
          after,
        }));
      };
    },
  },
  'the pin of a revision': eachOf(
    ['PUT /{id}/revisions/{number}/pin', 'DELETE /{id}/revisions/{number}/pin'],
    (first) => datasetWith(first, ['a.jpg']),
    async (id, { api, round, i }) => {
      const target = `/${id}/revisions/1/pin`;
      const note = `round ${round}`;
      const isPin = (i + round) % 2 === 0;
      return {
        act: () => (isPin ? api.json('PUT', target, { note }) : api.request('DELETE', target)),
        read: async (now) => (await revisionsOf(now, id))[0]?.pinned?.note ?? null,
        after: isPin ? note : null,
      };
    },
  ),
  'a recheck': each(['POST /{id}/recheck'], async ({ api }) => {
    const id = await datasetWith(api, ['a.jpg', 'a.txt', 'b.jpg']);
    return {
      act: () => api.request('POST', `/${id}/recheck`),
      // A recheck that has begun continues after the start.
      read: (now) =>
        eventually(async () => {
          const { state, checked } = must(await now.request<WireRecheck>('GET', `/${id}/recheck`));
          return state === 'running' ? undefined : { state, checked };
        }),
      after: { state: 'finished', checked: 3 },
    };
  }),
  'a new token': each(['POST /tokens'], async ({ api, round, i }) => {
    const name = `token ${round} ${i}`;
    return {
      act: () => api.json('POST', '/tokens', { name }),
      read: async (now, answer) => {
        const works = answer === undefined || (await answers(now, (answer as WireNewToken).secret)) === 200;
        return works ? listed(now, '/tokens', name) : 'a token that does not work';
      },
      after: 1,
    };
  }),
  'the revocation of a token': each(['DELETE /tokens/{token_id}'], async ({ api, round, i }) => {
    const { id, secret } = await newToken(api, `revoked ${round} ${i}`);
    const { cookie } = await signIn(new Api(api.url, secret));
    return {
      act: () => api.request('DELETE', `/tokens/${id}`),
      read: async (now) => {
        const session = await fetch(`${now.url}${BASE_PATH}/account`, { headers: { cookie, ...PAGE } });
        return [await answers(now, secret), session.status];
      },
      after: [401, 401],
    };
  }),
  'a share link': each(['POST /{id}/shares'], async ({ api, round, i }) => {
    const id = await api.newDataset();
    const name = `share ${round} ${i}`;
    return {
      act: () => api.json('POST', `/${id}/shares`, { name }),
      read: async (now, answer) => {
        const secret = (answer as WireNewShare | undefined)?.secret;
        const works = secret === undefined || (await new Api(now.url, secret).status(id)).status === 200;
        return works ? listed(now, `/${id}/shares`, name) : 'a share link that does not work';
      },
      after: 1,
    };
  }),
  'the revocation of a share link': each(['DELETE /{id}/shares/{share_id}'], async ({ api }) => {
    const id = await api.newDataset();
    const share = must(await api.json<WireNewShare>('POST', `/${id}/shares`, {}));
    return {
      act: () => api.request('DELETE', `/${id}/shares/${share.id}`),
      read: async (now) => (await new Api(now.url, share.secret).status(id)).status,
      after: 401,
    };
  }),
  'a sign-in and a sign-out': each(['POST /session', 'DELETE /session'], async ({ api, round, i }) => {
    const { id, secret } = await newToken(api, `session ${round} ${i}`);
    const own = new Api(api.url, secret);
    const sessions = async (now: Api) =>
      must(await new Api(now.url, secret).request<WireTokenList>('GET', '/tokens')).tokens.filter(
        ({ kind, made_by }) => kind === 'session' && made_by === id,
      ).length;
    if (i % 2 === 0) return { act: () => signIn(own), read: sessions, after: (await sessions(api)) + 1 };
    const { cookie } = await signIn(own);
    const headers = { cookie, authorization: '', ...PAGE };
    return {
      act: () => api.request('DELETE', '/session', { headers }),
      read: async (now) => (await now.raw('GET', '/account', { headers })).status,
      after: 401,
    };
  }),
  'a code to sign in with': each(['POST /session/codes'], async ({ api }) => ({
    act: () => api.request('POST', '/session/codes'),
    read: async (now, answer) => {
      if (answer === undefined) return 'unknown';
      const body = JSON.stringify({ code: (answer as { code: string }).code });
      const headers = { 'content-type': 'application/json', ...PAGE };
      return (await fetch(`${now.url}${BASE_PATH}/session`, { method: 'POST', headers, body })).status;
    },
    after: 200,
  })),
  'a prompt for captions': each(['PUT /caption-presets/{preset}'], async ({ api, round, i }) => ({
    act: () => api.json('PUT', `/caption-presets/own-${i}`, { prompt: `prompt ${round}` }),
    read: async (now) => (await presetsOf(now)).find(({ name }) => name === `own-${i}`)?.prompt,
    after: `prompt ${round}`,
  })),
  'the deletion of a prompt': each(['DELETE /caption-presets/{preset}'], async ({ api, round, i }) => {
    const name = `old-${round}-${i}`;
    must(await api.json('PUT', `/caption-presets/${name}`, { prompt: 'x' }));
    return {
      act: () => api.request('DELETE', `/caption-presets/${name}`),
      read: async (now) => (await presetsOf(now)).filter((preset) => preset.name === name).length,
      after: 0,
    };
  }),
  'a new webhook': {
    operations: ['POST /webhooks'],
    prepare: async () => async (api, round) => {
      await removeWebhooks(api);
      return several(async (i) => {
        const url = `http://127.0.0.1:9/${round}/${i}`;
        return {
          act: () => api.json('POST', '/webhooks', { url }),
          read: async (now) => (await webhooksOf(now)).filter((webhook) => webhook.url === url).length,
          after: 1,
        };
      });
    },
  },
  'a change of a webhook': eachWebhook('PATCH /webhooks/{webhook_id}', (id, api, round) => {
    const after = { url: `http://127.0.0.1:9/${round}`, enabled: false };
    return {
      act: () => api.json('PATCH', `/webhooks/${id}`, after),
      read: async (now) => {
        const found = (await webhooksOf(now)).find((webhook) => webhook.id === id)!;
        return { url: found.url, enabled: found.enabled };
      },
      after,
    };
  }),
  'the deletion of a webhook': eachWebhook('DELETE /webhooks/{webhook_id}', (id, api) => ({
    act: () => api.request('DELETE', `/webhooks/${id}`),
    read: async (now) => (await webhooksOf(now)).filter((webhook) => webhook.id === id).length,
    after: 0,
  })),
  'a test of a webhook': eachWebhook('POST /webhooks/{webhook_id}/test', (id, api) => ({
    act: () => api.request('POST', `/webhooks/${id}/test`),
    read: async (now) => (await deliveriesOf(now, id)).length,
    after: 1,
  })),
  'a delivery that is sent again': {
    operations: ['POST /webhooks/{webhook_id}/deliveries/{delivery_id}/resend'],
    prepare: async () => async (api) => {
      // 410 disables a webhook, so that a delivery which is sent again waits.
      const receiver = await startReceiver();
      receiver.answer = (response) => response.writeHead(410).end();
      const ids = await newWebhooks(api, receiver.url);
      const attempts = ids.map(async (id) => {
        const sent = must(await api.request<WireDelivery>('POST', `/webhooks/${id}/test`));
        const stateOf = async (now: Api) => (await deliveriesOf(now, id))[0]?.state;
        await eventually(async () => ((await stateOf(api)) === 'failed' ? true : undefined));
        const target = `/webhooks/${id}/deliveries/${sent.id}/resend`;
        return { act: () => api.request('POST', target), read: stateOf, after: 'waiting' };
      });
      return Promise.all(attempts).finally(() => receiver.close());
    },
  },
};

/** A change of each of the account's webhooks. */
function eachWebhook(operation: string, make: (id: string, api: Api, round: number) => Attempt): Change {
  return {
    operations: [operation],
    prepare: async () => async (api, round) => (await newWebhooks(api)).map((id) => make(id, api, round)),
  };
}

async function presetsOf(api: Api) {
  return must(await api.request<{ presets: { name: string; prompt: string }[] }>('GET', '/caption-presets')).presets;
}
