import { isDeepStrictEqual } from 'node:util';
import type { WireRevision, WireRevisionWithFiles } from '../../../src/api/history-schemas.js';
import { type Api, put } from '../../harness/api.js';
import { IS_ALL } from '../../harness/available.js';
import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { eventually } from '../../harness/server.js';
import { contentOf, sha256 } from '../contents.js';
import { ABSENT } from '../mixed-load.js';
import {
  alone,
  AT_ONCE,
  type Attempt,
  type Change,
  datasetWith,
  each,
  eachOf,
  must,
  range,
  several,
} from './change.js';

const LARGE = IS_ALL ? 6000 : 1500;
/** What one request may name. */
const MAX_NAMES = 1000;
/** So many of a large dataset change: they overlap with none that is removed. */
const CHANGED = Math.min(MAX_NAMES, LARGE / 3);

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

/** The names that uploads are pending for, as far as one answer lists them. */
async function pendingOf(api: Api, id: string): Promise<Record<string, true>> {
  const { awaited = [] } = must(await api.status(id));
  return Object.fromEntries(awaited.map(({ filename }) => [filename, true]));
}

/** The latest ones first. */
export async function revisionsOf(api: Api, id: string): Promise<WireRevision[]> {
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

/** A dataset of two pictures that look alike, once it is known. */
async function alike(api: Api): Promise<string> {
  const id = await api.newDataset();
  const picture = await readFile(new URL('../../fixtures/images/pdq/bridge.jpg', import.meta.url));
  must(await api.upload(id, 'a.jpg', picture));
  must(await api.upload(id, 'b.jpg', await sharp(picture).jpeg({ quality: 60 }).toBuffer()));
  await eventually(async () => (await alikeGroups(api, id)) === 1 || undefined);
  return id;
}

async function alikeGroups(api: Api, id: string): Promise<number> {
  return must(await api.request<{ groups: unknown[] }>('GET', `/${id}/duplicates`)).groups.length;
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

/** The server has another port after each start. */
const moved = (url: string, api: Api) => `${api.url}${new URL(url).pathname}${new URL(url).search}`;

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
  (send: Send): Change['prepare'] =>
  async (first) => {
    const id = await first.newDataset();
    return (api, round) =>
      several(async (i) => {
        const filename = i % 2 === 0 ? sameName(i) : `${round}_${i}.${i % 3 === 0 ? 'txt' : 'jpg'}`;
        const bytes = contentOf(filename, `${filename} ${round}`, i * 200_000);
        const act = await send(api, { id, filename }, bytes);
        return { act, read: (now) => shaOf(now, id, filename), after: sha256(bytes) };
      });
  };
const sameName = (i: number) => `${i}.jpg`;

export const DATASET_CHANGES: Readonly<Record<string, Change>> = {
  'a direct upload': { operations: ['POST /{id}/upload'], prepare: uploads(direct) },
  'an upload through a link': { operations: ['PUT /uploads/{id}'], prepare: uploads(throughLink) },
  'a batch of upload links': each(['POST /{id}/get-upload-endpoint'], async ({ api }) => {
    const id = await api.newDataset();
    const sizes = Object.fromEntries(captionNames(MAX_NAMES).map((name) => [name, 1]));
    return {
      act: () => api.links(id, sizes),
      read: async (now, answer) => {
        const pending = await pendingOf(now, id);
        if (answer === undefined) return pending;
        const link = Object.values((answer as { uploads: Record<string, { upload_url: string }> }).uploads)[0]!;
        return (await put(moved(link.upload_url, now), 'a')).status === 200 ? pending : 'a link that does not work';
      },
      after: Object.fromEntries(captionNames(MAX_NAMES).map((name) => [name, true])),
      isPerFile: true,
    };
  }),
  'the withdrawal of an upload': each(['DELETE /{id}/uploads/{filename}'], async ({ api }) => {
    const id = await api.newDataset();
    await api.link(id, 'a.txt', 1);
    const act = () => api.request('DELETE', `/${id}/uploads/a.txt`);
    return { act, read: (now) => pendingOf(now, id), after: {} };
  }),
  'the withdrawal of many uploads': each(['DELETE /{id}/uploads'], async ({ api }) => {
    const id = await api.newDataset();
    const filenames = captionNames(MAX_NAMES);
    must(await api.links(id, Object.fromEntries(filenames.map((name) => [name, 1]))));
    const act = () => api.json('DELETE', `/${id}/uploads`, { filenames });
    return { act, read: (now) => pendingOf(now, id), after: {}, isPerFile: true };
  }),
  'an edit of a caption': eachOf(
    ['PUT /{id}/captions'],
    (first, i) => datasetWith(first, [`${i}.txt`]),
    async (id, { api, round, i }) => {
      const [filename, text] = [`${i}.txt`, `edit ${round}`];
      const ifMatch = `"${await shaOf(api, id, filename)}"`;
      return {
        act: () => api.json('PUT', `/${id}/captions`, { captions: [{ filename, text, ifMatch }] }),
        read: (now) => shaOf(now, id, filename),
        after: sha256(Buffer.from(text)),
      };
    },
  ),
  'a decision about duplicates': eachOf(['POST /{id}/duplicates'], alike, async (id, { api, round }) => {
    const different = round % 2 === 0;
    const act = () => api.json('POST', `/${id}/duplicates`, { filenames: ['a.jpg', 'b.jpg'], different });
    return { act, read: (now) => alikeGroups(now, id), after: different ? 0 : 1 };
  }),
  'a group of files': eachOf(
    ['PUT /{id}/groups/{group}'],
    (first, i) => datasetWith(first, [`${i}.txt`, 'other.txt']),
    async (id, { api, round, i }) => ({
      act: () => api.json('PUT', `/${id}/groups/g`, { repeats: round + 2, add: [`${i}.txt`, 'other.txt'] }),
      read: async (now) => (await now.status(id)).body.groups,
      after: [{ name: 'g', repeats: round + 2, is_reg: false, files: 2 }],
    }),
  ),
  'the deletion of a group': each(['DELETE /{id}/groups/{group}'], async ({ api, i }) => {
    const id = await datasetWith(api, [`${i}.txt`]);
    must(await api.json('PUT', `/${id}/groups/g`, { add: [`${i}.txt`] }));
    const act = () => api.request('DELETE', `/${id}/groups/g`);
    return { act, read: async (now) => (await now.status(id)).body.groups ?? ABSENT, after: ABSENT };
  }),
  'a bulk change of captions': alone([], async (api, round) => {
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
  'the deletion of a file': {
    operations: ['DELETE /{id}/files/{filename}'],
    prepare: async () => async (api) => {
      const id = await datasetWith(api, range(AT_ONCE).map(sameName));
      return several(async (i) => ({
        act: () => api.request('DELETE', `/${id}/files/${sameName(i)}`),
        read: (now) => shaOf(now, id, sameName(i)),
        after: ABSENT,
      }));
    },
  },
  'the deletion of many files': alone(['DELETE /{id}/files'], async (api) => {
    const id = await api.newDataset();
    const filenames = captionNames(MAX_NAMES);
    await saveCaptions(api, id, { names: filenames, text: 'first' });
    const act = () => api.json('DELETE', `/${id}/files`, { filenames });
    return { act, read: (now) => filesOf(now, id), after: {}, isPerFile: true };
  }),
  'the creation of a dataset': each(['POST '], async ({ api, round, i }) => {
    const name = `created-${round}-${i}`;
    return {
      act: () => api.create(name),
      read: async (now, answer) => {
        const found = (await now.list(`?name=${name}`)).body.datasets;
        const id = (answer as { id: string } | undefined)?.id ?? found[0]?.id;
        return found.filter((dataset) => dataset.id === id).length;
      },
      after: 1,
    };
  }),
  'a change of name and role': eachOf(
    ['PATCH /{id}'],
    (first, i) => first.newDataset(`renamed-${i}`),
    async (id, { api, round, i }) => {
      const after = { name: `renamed-${i}-${round}`, role: round % 2 === 0 ? 'control' : 'training' };
      return {
        act: () => api.json('PATCH', `/${id}`, after),
        read: async (now) => {
          const { name, role } = must(await now.status(id));
          return { name, role };
        },
        after,
      };
    },
  ),
  'the deletion of a dataset': each(['DELETE /{id}'], async ({ api }) => {
    const id = await datasetWith(api, ['a.jpg', 'a.txt', 'b.jpg']);
    return { act: () => api.request('DELETE', `/${id}`), read: (now) => filesOf(now, id), after: ABSENT };
  }),
  [`the restore and the undo of a revision of ${LARGE} files`]: {
    operations: ['POST /{id}/revisions/{number}/restore', 'POST /{id}/revisions/{number}/undo'],
    prepare: async (first) => {
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
  },
};
