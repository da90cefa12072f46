import type { WireRevision, WireRevisionWithFiles } from '../../../src/api/history-schemas.js';
import { type Api, put } from '../../harness/api.js';
import { contentOf, sha256 } from '../contents.js';
import { ABSENT } from '../ledger.js';
import { AT_ONCE, type Attempt, type Change, datasetWith, must, range, several } from './change.js';

/** More rows than `MANY_ROWS`, so that the change is applied in a thread of its own. */
const LARGE = 6000;
const MAX_NAMES = 1000;

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

/** The files of a dataset, and of its latest revision. */
async function latestOf(api: Api, id: string): Promise<{ files: Files | string; latest: Files }> {
  const { revisions } = must(await api.request<{ revisions: WireRevision[] }>('GET', `/${id}/revisions?limit=1`));
  const target = `/${id}/revisions/${revisions[0]!.number}`;
  const { manifest } = must(await api.request<WireRevisionWithFiles>('GET', target));
  const latest = Object.fromEntries(manifest.map((file) => [file.filename, file.sha256]));
  return { files: await filesOf(api, id), latest };
}

const bulk = (change: string) => ({ 'content-type': 'application/json', 'trainyard-change': `bulk; ${change}` });

async function saveCaptions(api: Api, id: string, { names, text }: { names: readonly string[]; text: string }) {
  for (let from = 0; from < names.length; from += MAX_NAMES) {
    const captions = names.slice(from, from + MAX_NAMES).map((filename) => ({ filename, text: `${text} ${filename}` }));
    const body = JSON.stringify({ captions });
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
  const [changed, removed] = [names.slice(0, MAX_NAMES), names.slice(-MAX_NAMES)];
  await saveCaptions(api, id, { names: changed, text: 'second' });
  const body = JSON.stringify({ filenames: removed });
  must(await api.request('DELETE', `/${id}/files`, { headers: bulk('second'), body }));
  const first = filesWith(names, 'first');
  const second = { ...filesWith(names.slice(0, -MAX_NAMES), 'first'), ...filesWith(changed, 'second') };
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

/** Uploads of several sizes, up to a megabyte. */
const uploads =
  (send: Send, nameOf: (i: number, round: number) => string): Change['prepare'] =>
  async (first) => {
    const id = await first.newDataset();
    return (api, round) =>
      several(async (i) => {
        const filename = nameOf(i, round);
        const bytes = contentOf(filename, `${filename} ${round}`, i * 200_000);
        const act = await send(api, { id, filename }, bytes);
        return { act, read: (now) => shaOf(now, id, filename), after: sha256(bytes) };
      });
  };
const newName = (i: number, round: number) => `${round}_${i}.${i % 3 === 0 ? 'txt' : 'jpg'}`;
const sameName = (i: number) => `${i}.jpg`;

export const DATASET_CHANGES: Readonly<Record<string, Change>> = {
  'a direct upload': { operations: ['POST /{id}/upload'], prepare: uploads(direct, newName) },
  'an upload through a link': { operations: ['PUT /uploads/{id}'], prepare: uploads(throughLink, newName) },
  'an overwrite by a direct upload': { operations: [], prepare: uploads(direct, sameName) },
  'an overwrite through a link': { operations: [], prepare: uploads(throughLink, sameName) },
  'a batch of upload links': {
    operations: ['POST /{id}/get-upload-endpoint'],
    prepare: async () => (api) =>
      several(async () => {
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
  },
  'the withdrawal of an upload': {
    operations: ['DELETE /{id}/uploads/{filename}'],
    prepare: async () => (api) =>
      several(async () => {
        const id = await api.newDataset();
        await api.link(id, 'a.txt', 1);
        const act = () => api.request('DELETE', `/${id}/uploads/a.txt`);
        return { act, read: (now) => pendingOf(now, id), after: {} };
      }),
  },
  'the withdrawal of many uploads': {
    operations: ['DELETE /{id}/uploads'],
    prepare: async () => (api) =>
      several(async () => {
        const id = await api.newDataset();
        const filenames = captionNames(MAX_NAMES);
        must(await api.links(id, Object.fromEntries(filenames.map((name) => [name, 1]))));
        const act = () => api.json('DELETE', `/${id}/uploads`, { filenames });
        return { act, read: (now) => pendingOf(now, id), after: {}, isPerFile: true };
      }),
  },
  'an edit of a caption': {
    operations: ['PUT /{id}/captions'],
    prepare: async (first) => {
      const id = await datasetWith(first, captionNames(AT_ONCE));
      return (api, round) =>
        several(async (i) => {
          const [filename, text] = [`caption_${i}.txt`, `edit ${round}`];
          const ifMatch = `"${await shaOf(api, id, filename)}"`;
          return {
            act: () => api.json('PUT', `/${id}/captions`, { captions: [{ filename, text, ifMatch }] }),
            read: (now) => shaOf(now, id, filename),
            after: sha256(Buffer.from(text)),
          };
        });
    },
  },
  'a bulk change of captions': {
    operations: [],
    prepare: async (first) => {
      const id = await first.newDataset();
      const names = captionNames(MAX_NAMES);
      await saveCaptions(first, id, { names, text: 'first' });
      return async (api, round) => {
        const text = `round ${round}`;
        const captions = names.map((filename) => ({ filename, text: `${text} ${filename}` }));
        return [
          {
            act: () => api.json('PUT', `/${id}/captions`, { captions }),
            read: (now) => filesOf(now, id),
            after: filesWith(names, text),
            isPerFile: true,
          },
        ];
      };
    },
  },
  'the deletion of a file': {
    operations: ['DELETE /{id}/files/{filename}'],
    prepare: async () => async (api) => {
      const id = await datasetWith(api, range(AT_ONCE).map(sameName));
      return several(async (i) => ({
        act: () => api.request('DELETE', `/${id}/files/${i}.jpg`),
        read: (now) => shaOf(now, id, `${i}.jpg`),
        after: ABSENT,
      }));
    },
  },
  'the deletion of many files': {
    operations: ['DELETE /{id}/files'],
    prepare: async () => async (api) => {
      const id = await api.newDataset();
      const filenames = captionNames(MAX_NAMES);
      await saveCaptions(api, id, { names: filenames, text: 'first' });
      return [
        {
          act: () => api.json('DELETE', `/${id}/files`, { filenames }),
          read: (now) => filesOf(now, id),
          after: {},
          isPerFile: true,
        },
      ];
    },
  },
  'the creation of a dataset': {
    operations: ['POST '],
    prepare: async () => (api, round) =>
      several(async (i) => {
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
  },
  'a change of name and role': {
    operations: ['PATCH /{id}'],
    prepare: async (first) => {
      const ids = await several((i) => first.newDataset(`renamed-${i}`));
      return (api, round) =>
        several(async (i) => {
          const change = { name: `renamed-${i}-${round}`, role: round % 2 === 0 ? 'control' : 'training' };
          return {
            act: () => api.json('PATCH', `/${ids[i]}`, change),
            read: async (now) => {
              const { name, role } = must(await now.status(ids[i]!));
              return { name, role };
            },
            after: change,
          };
        });
    },
  },
  'the deletion of a dataset': {
    operations: ['DELETE /{id}'],
    prepare: async () => (api) =>
      several(async () => {
        const id = await datasetWith(api, ['a.jpg', 'a.txt', 'b.jpg']);
        return { act: () => api.request('DELETE', `/${id}`), read: (now) => filesOf(now, id), after: ABSENT };
      }),
  },
  [`the deletion of a dataset of ${LARGE} files`]: {
    operations: [],
    prepare: async () => {
      let id: string | undefined;
      return async (api) => {
        if (id === undefined || (await filesOf(api, id)) === ABSENT) {
          id = await api.newDataset();
          await saveCaptions(api, id, { names: captionNames(LARGE), text: 'large' });
        }
        const target = id;
        return [{ act: () => api.request('DELETE', `/${target}`), read: (now) => filesOf(now, target), after: ABSENT }];
      };
    },
  },
  [`the restore of a revision of ${LARGE} files`]: {
    operations: ['POST /{id}/revisions/{number}/restore'],
    prepare: async (first) => {
      const large = await twoRevisions(first);
      return async (api) => {
        const isFirst = Object.keys((await latestOf(api, large.id)).latest).length === LARGE;
        const [number, files] = isFirst ? [2, large.second] : [1, large.first];
        return [
          {
            act: () => api.request('POST', `/${large.id}/revisions/${number}/restore`),
            read: (now) => latestOf(now, large.id),
            after: { files, latest: files },
          },
        ];
      };
    },
  },
  [`the undo of a revision of ${LARGE} files`]: {
    operations: ['POST /{id}/revisions/{number}/undo'],
    prepare: async (first) => {
      const large = await twoRevisions(first);
      return async (api) => {
        const { revisions } = must(await api.request<{ revisions: WireRevision[] }>('GET', `/${large.id}/revisions`));
        const files = revisions[0]!.files === LARGE ? large.second : large.first;
        return [
          {
            act: () => api.request('POST', `/${large.id}/revisions/${revisions[0]!.number}/undo`),
            read: (now) => latestOf(now, large.id),
            after: { files, latest: files },
          },
        ];
      };
    },
  },
};
