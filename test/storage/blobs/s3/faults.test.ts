import { writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { BlobChanged } from '../../../../src/storage/blobs/blobs.js';
import type { Timeouts } from '../../../../src/storage/blobs/s3/connection.js';
import { parseS3Url } from '../../../../src/storage/blobs/s3/location.js';
import { S3Blobs } from '../../../../src/storage/blobs/s3/s3-blobs.js';
import { onS3, openS3 } from '../../../harness/backends.js';
import { newBucket } from '../../../harness/s3.js';
import { eventually, serverUntil, startServer } from '../../../harness/server.js';
import { type TcpLink, tcpLinkTo } from '../../../harness/tcp-link.js';
import { newRoot } from '../../../harness/mounting.js';

const MIB = 1024 * 1024;
const signal = new AbortController().signal;
const bytes = Buffer.alloc(12 * MIB, 'the bytes of a file');
const limit = { bytes: bytes.length, message: '' };
const timeouts: Timeouts = { connectMs: 1000, idleMs: 1000, attempts: 2 };

/** A store behind a relay. */
async function openAfar(limits = timeouts) {
  const link = await tcpLinkTo(process.env.TEST_S3_ENDPOINT!);
  return { link, ...(await openS3({ spoolBytes: 60 * MIB, timeouts: limits, parameters: { endpoint: link.url } })) };
}

const body = () => Readable.from([bytes.subarray(0, 5 * MIB), bytes.subarray(5 * MIB)], { objectMode: false });

const DISTURBANCES: [string, (link: TcpLink) => unknown][] = [
  ['answers no more', (link) => link.stall()],
  ['is gone', (link) => link.goAway()],
];

onS3(() => {
  describe.each(DISTURBANCES)('a store that %s', (_, disturb) => {
    test('is unavailable for everything, and then works again', async () => {
      const { link, blobs, bucket } = await openAfar();
      const kept = await blobs.stage(body(), { key: 'd/kept', limit, signal });
      const { version } = await kept.commit();
      const staged = await blobs.stage(body(), { key: 'd/new', limit, signal });
      await disturb(link);
      const unavailable = { code: 'unavailable' };
      await Promise.all([
        expect(staged.commit()).rejects.toMatchObject(unavailable),
        expect(blobs.read('d/kept')).rejects.toMatchObject(unavailable),
        expect(blobs.fetch('d/kept', { limit, version, signal })).rejects.toMatchObject(unavailable),
        expect(blobs.delete(['d/kept'])).rejects.toMatchObject(unavailable),
        expect(blobs.staging.list('d')[Symbol.asyncIterator]().next()).rejects.toMatchObject(unavailable),
        expect(blobs.ping()).rejects.toMatchObject(unavailable),
      ]);
      await link.mend();
      await blobs.ping();
      expect((await buffer((await blobs.read('d/kept', { version }))!)).equals(bytes)).toBe(true);
      await (await blobs.stage(body(), { key: 'd/again', limit, signal })).commit();
      expect((await bucket.keys()).filter((key) => key !== 'd/new')).toEqual(['d/again', 'd/kept']);
    });
  });

  test('every call to a silent store ends when the store is aborted, and later ones are rejected', async () => {
    // Without the abort, each call would outlast the test.
    const hour = 3_600_000;
    const { link, blobs } = await openAfar({ connectMs: hour, idleMs: hour, attempts: 3 });
    const small = bytes.subarray(0, 1000);
    const staged = await blobs.stage(Readable.from([small]), { key: 'd/new', limit, atMostBytes: 1000, signal });
    link.stall();
    const calls = () => [
      blobs.read('d/kept'),
      blobs.fetch('d/kept', { limit, signal }),
      blobs.find(['d/kept']),
      blobs.delete(['d/kept']),
      blobs.staging.list('d')[Symbol.asyncIterator]().next(),
      blobs.ping(),
    ];
    const areRejected = (ended: Promise<unknown>[]) =>
      Promise.all(ended.map((call) => expect(call).rejects.toMatchObject({ code: 'shutting_down' })));
    const inFlight = areRejected([staged.commit(), ...calls()]);
    blobs.abort();
    await inFlight;
    await areRejected(calls());
  });

  test('the status is answered from what is known while the store is silent', async () => {
    const link = await tcpLinkTo(process.env.TEST_S3_ENDPOINT!);
    const env = { BLOBS_URL: newBucket().url({ endpoint: link.url }) };
    const server = await serverUntil(onTestFinished, { 'stop-seconds': 1 }, { env });
    const api = await server.api();
    const id = await api.newDataset();
    const url = await api.link(id, 'a.txt', 5);
    expect(new URL(url).origin).toBe(new URL(link.url).origin);
    link.stall();
    for (let i = 0; i < 2; i++) {
      const signal = AbortSignal.timeout(10_000);
      const response = await fetch(`${server.url}/prod/v1/trainers/datasets/${id}/status`, {
        headers: { authorization: `Bearer ${api.token}` },
        signal,
      });
      expect(await response.json()).toMatchObject({ status: 'UPLOADING', files: [] });
    }
  });

  test('a read that breaks off is resumed, and one that is given up leaves no connection open', async () => {
    const { link, blobs, bucket } = await openAfar();
    await (await blobs.stage(body(), { key: 'd/a', limit, signal })).commit();
    link.cutAfter(7 * MIB);
    expect((await buffer((await blobs.read('d/a'))!)).equals(bytes)).toBe(true);
    const range = { start: 1_000_003, end: 11_000_003 };
    link.cutAfter(5 * MIB);
    const part = await buffer((await blobs.read('d/a', { range }))!);
    expect(part.equals(bytes.subarray(range.start, range.end))).toBe(true);
    // With the rest of other bytes, it would be no file that was ever stored.
    link.cutAfter(7 * MIB);
    const replaced = (await blobs.read('d/a'))!;
    await bucket.client.send(new PutObjectCommand({ ...bucket.target('d/a'), Body: Buffer.alloc(bytes.length) }));
    await expect(buffer(replaced).then(({ length }) => length)).rejects.toBeInstanceOf(BlobChanged);
    const before = link.connections();
    for (let i = 0; i < 10; i++) (await blobs.read('d/a'))!.destroy();
    await eventually(() => link.connections() <= before || undefined);
  });

  test('a PUT whose answer is lost is recognised as ours when it is retried, and other bytes than were inspected are rejected', async () => {
    const { link, blobs, bucket } = await openAfar();
    const staged = await blobs.stage(Readable.from([bytes.subarray(0, 1000)]), { key: 'd/a', limit, signal });
    link.loseNextAnswer();
    const { version } = await staged.commit();
    const damaged = await blobs.stage(Readable.from([Buffer.from('as sent')]), { key: 'd/b', limit, signal });
    await writeFile(damaged.path, 'changed');
    await expect(damaged.commit()).rejects.toMatchObject({ code: 'unavailable' });
    const { ETag } = await bucket.client.send(new GetObjectCommand(bucket.target('d/a')));
    expect(ETag).toBe(`"${version}"`);
  });

  test('a bucket that can not be used ends the start with the reason', async () => {
    const url = newBucket().url();
    const BLOBS_URL = url.replace(/^s3:\/\/[^/]+/, 's3://no-such-bucket');
    await expect(startServer({}, { env: { BLOBS_URL } })).rejects.toThrow('no bucket "no-such-bucket"');
    const silent = { message: expect.stringContaining('not answer'), isTemporary: true };
    await expect(openS3({ timeouts, parameters: { endpoint: 'http://127.0.0.1:9' } })).rejects.toMatchObject(silent);
    await expect(openS3({ parameters: { ca: '/no/such.pem' } })).rejects.toThrow('ca= in BLOBS_URL');
    const spoolFolder = await newRoot();
    const openAs = (credentials: Record<string, string>) => {
      const before = { ...process.env };
      Object.assign(process.env, credentials);
      const options = { spoolFolder, spoolBytes: MIB, log: () => {}, linkCredentials: undefined };
      return S3Blobs.open(parseS3Url(url), options).finally(() => Object.assign(process.env, before));
    };
    await expect(openAs({ AWS_SECRET_ACCESS_KEY: 'wrong' })).rejects.toThrow('credentials');
    const [AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = ''] = (process.env.TEST_S3_STRANGER ?? '').split(':');
    if (AWS_ACCESS_KEY_ID === '') return console.warn('The store has no second user (TEST_S3_STRANGER).');
    await expect(openAs({ AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY })).rejects.toThrow('may not s3:ListBucket');
  });
});
