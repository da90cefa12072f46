import { isDeepStrictEqual } from 'node:util';
import type { WireNewToken, WireTokenList } from '../../../src/api/account-schemas.js';
import type { WireRevision, WireRevisionWithFiles } from '../../../src/api/history-schemas.js';
import { Api, type Answer, put } from '../../harness/api.js';
import { IS_ALL } from '../../harness/available.js';
import { contentOf } from '../contents.js';
import { ABSENT } from '../mixed-load.js';
import { sha256 } from '../../harness/sha256.js';

/** One change, and how to tell whether it was made. */
export interface Attempt {
  readonly act: () => Promise<Answer<unknown>>;
  /** Reads the state that it changes; where the change was acknowledged, `answer` is the body, and what it names must work. */
  readonly read: (api: Api, answer?: unknown) => Promise<unknown>;
  /** What `read` returns once the change is made. */
  readonly after: unknown;
  /** `read` and `after` are objects; each field is as before or as after. */
  readonly isPerFile?: boolean;
}

/** Prepares, and returns the changes of one round, which have no object in common and are made at once. */
export type Change = (api: Api) => Promise<(api: Api, round: number) => Promise<Attempt[]>>;

interface Turn {
  readonly api: Api;
  readonly round: number;
  readonly i: number;
}

/** A change that several clients make at once. */
function each(make: (turn: Turn) => Promise<Attempt>): Change {
  return async () => (api, round) => several((i) => make({ api, round, i }));
}

/** One change in each round. */
function alone(make: (api: Api, round: number) => Promise<Attempt>): Change {
  return async () => async (api, round) => [await make(api, round)];
}

const AT_ONCE = 6;
/** One request may name 1000. More than 64 are not all written at once. */
const MAX_NAMES = IS_ALL ? 1000 : 100;
const LARGE = 6 * MAX_NAMES;
/** So many of a large dataset change, and as many others are removed. */
const CHANGED = MAX_NAMES;

export const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const several = <T>(make: (i: number) => Promise<T>): Promise<T[]> => Promise.all(range(AT_ONCE).map(make));

/** The body of an answer of 200. */
export function must<T>({ status, body }: Answer<T>): Answer<T>['body'] {
  if (status !== 200) throw new Error(`answered ${status}: ${JSON.stringify(body)}`);
  return body;
}

/** Uploads files of these names to a new dataset. */
async function datasetWith(api: Api, filenames: readonly string[]): Promise<string> {
  const id = await api.newDataset();
  for (const filename of filenames) must(await api.upload(id, filename, contentOf(filename, `before ${filename}`)));
  return id;
}

type Files = Record<string, string>;

async function shaOf(api: Api, id: string, filename: string): Promise<string> {
  const response = await api.raw('GET', `/${id}/files/${filename}`);
  const bytes = Buffer.from(await response.arrayBuffer());
  if (response.status === 404) return ABSENT;
  return response.status === 200 ? sha256(bytes) : `answered ${response.status}`;
}

/** The files that a dataset lists. */
async function filesOf(api: Api, id: string): Promise<Files | string> {
  const { status, body } = await api.status(id);
  return status === 404 ? ABSENT : Object.fromEntries(body.files.map((file) => [file.filename, file.sha256]));
}

/** The latest ones first. */
async function revisionsOf(api: Api, id: string): Promise<WireRevision[]> {
  return must(await api.request<{ revisions: WireRevision[] }>('GET', `/${id}/revisions`)).revisions;
}

async function manifestOf(api: Api, id: string, number: number): Promise<Files> {
  const { manifest } = must(await api.request<WireRevisionWithFiles>('GET', `/${id}/revisions/${number}`));
  return Object.fromEntries(manifest.map((file) => [file.filename, file.sha256]));
}

/** The files of a dataset, and of its latest revision. */
async function latestOf(api: Api, id: string): Promise<{ files: Files | string; latest: Files }> {
  const [newest] = await revisionsOf(api, id);
  return { files: await filesOf(api, id), latest: await manifestOf(api, id, newest!.number) };
}

const bulk = (change: string) => ({ 'content-type': 'application/json', 'trainyard-change': `bulk; ${change}` });

const captionsBody = (names: readonly string[], text: string) =>
  JSON.stringify({ captions: names.map((filename) => ({ filename, text: `${text} ${filename}` })) });

async function saveCaptions(api: Api, id: string, { names, text }: { names: readonly string[]; text: string }) {
  for (let from = 0; from < names.length; from += MAX_NAMES) {
    const body = captionsBody(names.slice(from, from + MAX_NAMES), text);
    must(await api.request('PUT', `/${id}/captions`, { headers: bulk(text), body }));
  }
}

const captionNames = (count: number) => range(count).map((i) => `caption_${i}.txt`);
const filesWith = (names: readonly string[], text: string): Files =>
  Object.fromEntries(names.map((name) => [name, sha256(Buffer.from(`${text} ${name}`))]));

/** A dataset of many captions, of which its second revision has changed and removed a part. */
async function twoRevisions(api: Api) {
  const id = await api.newDataset();
  const names = captionNames(LARGE);
  await saveCaptions(api, id, { names, text: 'first' });
  const [changed, removed] = [names.slice(0, CHANGED), names.slice(-CHANGED)];
  await saveCaptions(api, id, { names: changed, text: 'second' });
  const body = JSON.stringify({ filenames: removed });
  must(await api.request('DELETE', `/${id}/files`, { headers: bulk('second'), body }));
  const first = filesWith(names, 'first');
  const second = { ...filesWith(names.slice(0, -CHANGED), 'first'), ...filesWith(changed, 'second') };
  return { id, first, second };
}

type Send = (api: Api, target: { id: string; filename: string }, bytes: Buffer) => Promise<Attempt['act']>;
const direct: Send =
  async (api, { id, filename }, bytes) =>
  () =>
    api.upload(id, filename, bytes);
const throughLink: Send = async (api, { id, filename }, bytes) => {
  const link = await api.link(id, filename, bytes.length);
  return () => put(link, bytes);
};

/** Uploads of several sizes, up to a megabyte; some of them replace a file. */
const uploads =
  (send: Send): Change =>
  async (first) => {
    const id = await first.newDataset();
    return (api, round) =>
      several(async (i) => {
        const filename = i % 2 === 0 ? `${i}.jpg` : `${round}_${i}.${i % 3 === 0 ? 'txt' : 'jpg'}`;
        const bytes = contentOf(filename, `${filename} ${round}`, i * 200_000);
        const act = await send(api, { id, filename }, bytes);
        return { act, read: (now) => shaOf(now, id, filename), after: sha256(bytes) };
      });
  };

const answers = async (api: Api, secret: string) => (await new Api(api.url, secret).raw('GET', '/account')).status;

let tokenNames = 0;

/** One of each kind: of bytes with a row, of many rows, of a job, of a delivery, and of rows that belong to others. */
export const CHANGES: Readonly<Record<string, Change>> = {
  'a direct upload': uploads(direct),
  'an upload through a link': uploads(throughLink),
  'a bulk change of captions': alone(async (api, round) => {
    const id = await api.newDataset();
    const names = captionNames(MAX_NAMES);
    await saveCaptions(api, id, { names, text: 'first' });
    const first = filesWith(names, 'first');
    const [body, headers] = [captionsBody(names, `round ${round}`), bulk('second')];
    return {
      act: () => api.request('PUT', `/${id}/captions`, { headers, body }),
      read: async (now) => {
        const { files, latest } = await latestOf(now, id);
        // One revision at the most, which is what the dataset lists, beside the first one as it was.
        if (!isDeepStrictEqual([files, await manifestOf(now, id, 1)], [latest, first])) return 'a torn history';
        return (await revisionsOf(now, id)).length > 2 ? 'several revisions' : files;
      },
      after: filesWith(names, `round ${round}`),
      isPerFile: true,
    };
  }),
  'the deletion of many files': alone(async (api) => {
    const id = await api.newDataset();
    const filenames = captionNames(MAX_NAMES);
    await saveCaptions(api, id, { names: filenames, text: 'first' });
    const act = () => api.json('DELETE', `/${id}/files`, { filenames });
    return { act, read: (now) => filesOf(now, id), after: {}, isPerFile: true };
  }),
  'the deletion of a dataset': each(async ({ api }) => {
    const id = await datasetWith(api, ['a.jpg', 'a.txt', 'b.jpg']);
    return { act: () => api.request('DELETE', `/${id}`), read: (now) => filesOf(now, id), after: ABSENT };
  }),
  'the restore and the undo of a revision of many files': async (first) => {
    const { id, ...large } = await twoRevisions(first);
    return async (api, round) => {
      const [newest] = await revisionsOf(api, id);
      const [number, files] = newest!.files === LARGE ? [2, large.second] : [1, large.first];
      const act = round % 2 === 1 ? `${number}/restore` : `${newest!.number}/undo`;
      return [
        {
          act: () => api.request('POST', `/${id}/revisions/${act}`),
          read: (now) => latestOf(now, id),
          after: { files, latest: files },
        },
      ];
    };
  },
  'a new token': each(async ({ api }) => {
    // Another test makes tokens of the same account, in the same rounds.
    const name = `token ${++tokenNames}`;
    return {
      act: () => api.json('POST', '/tokens', { name }),
      read: async (now, answer) => {
        if (answer !== undefined && (await answers(now, (answer as WireNewToken).secret)) !== 200) return 'useless';
        return must(await now.request<WireTokenList>('GET', '/tokens')).tokens.filter((one) => one.name === name)
          .length;
      },
      after: 1,
    };
  }),
  'the revocation of a token': each(async ({ api, round, i }) => {
    const { id, secret } = must(await api.json<WireNewToken>('POST', '/tokens', { name: `revoked ${round} ${i}` }));
    const headers = { 'trainyard-page': '1' };
    const session = await new Api(api.url, secret).raw('POST', '/session', { headers });
    const cookie = session.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    return {
      act: () => api.request('DELETE', `/tokens/${id}`),
      read: async (now) => {
        const bySession = await now.raw('GET', '/account', { headers: { ...headers, cookie, authorization: '' } });
        return [await answers(now, secret), bySession.status];
      },
      after: [401, 401],
    };
  }),
};
