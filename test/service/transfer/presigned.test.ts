import { expect, onTestFinished, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { Api } from '../../harness/api.js';
import { whyNoPostgres, whyNoS3 } from '../../harness/available.js';
import { trainyard } from '../../harness/command.js';
import { discardServer, eventually, startServer } from '../../harness/server.js';
import { newFolder, stopped } from '../../harness/transferring.js';
import { newWorld } from '../../harness/world.js';

const GIGABYTES = 4_000_000_000;

const leftOut = { sqlite: whyNoS3(), postgres: whyNoPostgres() ?? whyNoS3() };

test.for(['sqlite', 'postgres'] as const)(
  'from a bucket and %s to a folder, uploads to the bucket keep nothing waiting once their names are uploaded again',
  async (database, { skip }) => {
    skip(leftOut[database] !== undefined, leftOut[database]);
    const [from, to] = [await newWorld(`${database}+presigned`), await newWorld(`${database}+disk`)];
    onTestFinished(() => Promise.all([from.discard(), to.discard()]).then(() => {}));
    const settings = { 'caption-grace-seconds': 0 };
    const bucket = await startServer(settings, { env: from.env });
    const first = await bucket.api();
    const { token } = first;
    const id = await first.newDataset();
    for (const name of ['a.jpg', 'b.jpg', 'c.jpg']) await first.upload(id, name, await media.jpeg());
    const pending = async (api: Api) => (await api.status(id)).body.counts.pending;
    const allEnded = (api: Api) => eventually(async () => ((await pending(api)) === 0 ? true : undefined));
    await first.links(id, { 'a.txt': GIGABYTES });
    await first.upload(id, 'a.txt', 'replaced before');
    await allEnded(first);
    await first.links(id, { 'b.txt': 5, 'c.txt': 5 });
    const dataFolder = await stopped(bucket);

    const folder = await newFolder();
    const { DATABASE_URL, BLOBS_URL } = from.env;
    const source = [...(DATABASE_URL === undefined ? [dataFolder] : [DATABASE_URL]), BLOBS_URL ?? ''];
    const target = [folder, ...(to.env.DATABASE_URL === undefined ? [] : [to.env.DATABASE_URL])];
    const migrated = await trainyard(['migrate-data', '--from', ...source, '--to', ...target], { env: from.env });
    expect([migrated.stderr, migrated.code]).toEqual(['', 0]);

    const server = await startServer(settings, { dataFolder: folder, env: to.env });
    onTestFinished(() => discardServer(server));
    const api = new Api(server.url, token);
    expect(await pending(api)).toBe(2);
    await api.upload(id, 'b.txt', 'uploaded again');
    const link = await api.link(id, 'c.txt', 10);
    expect((await fetch(link, { method: 'PUT', body: 'by a link!' })).status).toBe(200);
    await allEnded(api);
    expect((await api.status(id)).body.status).toBe('READY');
    const usage = async () => (await api.request<{ usage: { bytes: number } }>('GET', '/account')).body.usage.bytes;
    expect(await usage()).toBeLessThan(GIGABYTES);
  },
);
