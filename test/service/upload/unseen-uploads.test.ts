import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WireRevisionPage } from '../../../src/api/history-schemas.js';
import type { WireDatasetWithFiles } from '../../../src/api/schemas.js';
import type { Api, UploadLink } from '../../harness/api.js';
import { whyNoPostgres, whyNoS3 } from '../../harness/available.js';
import { discardServer, eventually, startServer, type TestServer } from '../../harness/server.js';
import { newWorld, type World } from '../../harness/world.js';

const BACKENDS = [
  { name: 'sqlite+presigned', leftOut: whyNoS3() },
  { name: 'postgres+presigned', leftOut: whyNoPostgres() ?? whyNoS3() },
];

const etag = (text: string) => `"${createHash('sha256').update(text).digest('hex')}"`;
const putTo = async (url: string, body: string) => (await fetch(url, { method: 'PUT', body })).status;

for (const { name, leftOut } of BACKENDS) {
  const suffix = leftOut === undefined ? '' : `, left out: ${leftOut}`;
  describe.skipIf(leftOut !== undefined)(
    `an upload to the bucket that the service has not seen, on ${name}${suffix}`,
    () => {
      let world: World;
      let server: TestServer;
      let api: Api;
      beforeAll(async () => {
        world = await newWorld(name);
        server = await startServer({ 'caption-grace-seconds': 0 }, { env: world.env });
        api = await server.api();
      });
      afterAll(async () => {
        await discardServer(server);
        await world.discard();
      });

      /** A link for a caption of 4 bytes that is only to replace a certain text; null: no file. */
      const linkFor = async (id: string, expected?: string | null): Promise<string> => {
        const ifMatch =
          expected === undefined ? {} : { ifMatch: { 'a.txt': expected === null ? null : etag(expected) } };
        const request = { filenameToByteSize: { 'a.txt': 4 }, ...ifMatch };
        const { body } = await api.json<{ uploads: Record<string, UploadLink> }>(
          'POST',
          `/${id}/get-upload-endpoint`,
          request,
        );
        return body.uploads['a.txt']!.upload_url;
      };
      const newDataset = async (text?: string): Promise<string> => {
        const id = await api.newDataset();
        if (text !== undefined) await api.upload(id, 'a.txt', text);
        return id;
      };
      const statusWhen = (
        id: string,
        isMet: (status: WireDatasetWithFiles) => boolean,
      ): Promise<WireDatasetWithFiles> =>
        eventually(async () => {
          const { body } = await api.status(id);
          return isMet(body) ? body : undefined;
        });
      const settled = (id: string) => statusWhen(id, ({ counts }) => counts.pending === 0);
      const usage = async () => (await api.request<{ usage: { bytes: number } }>('GET', '/account')).body.usage;
      const textIn = async (id: string) => (await api.raw('GET', `/${id}/files/a.txt`)).text();
      const rejections = ({ warnings = [] }: WireDatasetWithFiles) =>
        warnings.flatMap(({ code, message }) => (code === 'REPLACEMENT_REJECTED' ? [message] : []));
      const CHANGED = expect.stringContaining('a.txt was changed by another upload');

      test('is stored though another client asks for a link of the name and does not use it', async () => {
        const id = await newDataset();
        expect(await putTo(await linkFor(id), 'ours')).toBe(200);
        await linkFor(id);
        await statusWhen(id, ({ files }) => files.length === 1);
        expect(await textIn(id)).toBe('ours');
      });

      test('and another one through a newer link: one of two who edit one version is told', async () => {
        const id = await newDataset('v0');
        const [first, second] = [await linkFor(id, 'v0'), await linkFor(id, 'v0')];
        expect([await putTo(first, 'ours'), await putTo(second, 'your')]).toEqual([200, 200]);
        expect(rejections(await settled(id))).toEqual([CHANGED]);
        const { revisions } = (await api.request<WireRevisionPage>('GET', `/${id}/revisions`)).body;
        expect(revisions.map(({ number }) => number)).toEqual([2, 1]);
      });

      test('and a direct one: the status is UPLOADING until the dataset says that the first one is not stored', async () => {
        const id = await newDataset('v0');
        expect(await putTo(await linkFor(id, 'v0'), 'ours')).toBe(200);
        const body = new FormData();
        body.append('file', new Blob(['your']), 'a.txt');
        const headers = { 'if-match': etag('v0') };
        const { status } = await api.request('POST', `/${id}/upload`, { body, headers });
        // Unless the upload to the bucket was seen before, and then it is the other client that is told.
        expect([200, 412]).toContain(status);
        const found = await settled(id);
        expect(rejections(found)).toEqual(status === 200 ? [CHANGED] : []);
        expect(await textIn(id)).toBe(status === 200 ? 'your' : 'ours');
      });

      test('through an old link after the name was uploaded again replaces nothing, and the dataset says so', async () => {
        const id = await newDataset();
        const old = await linkFor(id);
        expect(await putTo(await linkFor(id), 'your')).toBe(200);
        expect(rejections(await settled(id))).toEqual([]);
        expect(await putTo(old, 'ours')).toBe(200);
        const told = await statusWhen(id, (status) => rejections(status).length > 0);
        expect([rejections(told), told.counts.pending, await textIn(id)]).toEqual([[CHANGED], 0, 'your']);
      });

      test('with the same bytes as a retry of it is no conflict', async () => {
        const id = await newDataset();
        const [first, second] = [await linkFor(id, null), await linkFor(id, null)];
        expect([await putTo(first, 'ours'), await putTo(second, 'ours')]).toEqual([200, 200]);
        const found = await settled(id);
        expect([found.files.length, rejections(found)]).toEqual([1, []]);
      });

      test('does not exist: a link that was never used keeps nothing waiting once the name is uploaded or deleted', async () => {
        const id = await newDataset();
        await linkFor(id);
        await api.upload(id, 'a.txt', 'new');
        expect(rejections(await settled(id))).toEqual([]);
        await linkFor(id);
        const deleted = await api.request('DELETE', `/${id}/files/a.txt`, { headers: { 'if-match': etag('new') } });
        expect(deleted.status).toBe(200);
        expect((await settled(id)).status).toBe('DRAFT');
        await linkFor(id);
        expect(await putTo(await linkFor(id), 'last')).toBe(200);
        await settled(id);
        expect(await textIn(id)).toBe('last');
      });

      test('counts against the account, and can be withdrawn, though the name was uploaded again', async () => {
        const id = await newDataset();
        const before = (await usage()).bytes;
        await api.links(id, { 'a.txt': 4_000_000_000 });
        await api.upload(id, 'a.txt', 'new');
        await settled(id);
        expect((await usage()).bytes).toBe(before + 4_000_000_000);
        const withdraw = () => api.request('DELETE', `/${id}/uploads/a.txt`);
        expect((await withdraw()).status).toBe(200);
        expect([(await usage()).bytes, await textIn(id)]).toEqual([before + 'new'.length, 'new']);
        expect((await withdraw()).status).toBe(404);
      });

      test('of a file that another client deletes is not deleted with it, but with a deletion without a condition', async () => {
        const id = await newDataset('v0');
        const url = await linkFor(id);
        const remove = (headers: Record<string, string>) => api.request('DELETE', `/${id}/files/a.txt`, { headers });
        expect((await remove({ 'if-match': etag('v0') })).status).toBe(200);
        expect(await putTo(url, 'ours')).toBe(200);
        await statusWhen(id, ({ files }) => files.length === 1);
        const again = await linkFor(id);
        expect((await remove({})).status).toBe(200);
        expect(await putTo(again, 'gone')).toBe(200);
        expect((await settled(id)).status).toBe('DRAFT');
      });
    },
  );
}
