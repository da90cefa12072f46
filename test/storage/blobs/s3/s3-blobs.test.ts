import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { expect, onTestFinished, test } from 'vitest';
import { BlobChanged, type BlobStore } from '../../../../src/storage/blobs/blobs.js';
import { onS3, openS3, stagedIn, storeBlob } from '../../../harness/backends.js';
import { type Fault, startProxy } from '../../../harness/proxy.js';

const MIB = 1024 * 1024;
const signal = new AbortController().signal;
const bytes = Buffer.from('the bytes of a file');
const limit = { bytes: 10_000_000, message: 'too much of it' };

/** As a proxy or load balancer answers, not a store. */
const page = (status: number, body = '<html><body>Please log in.</body></html>'): Fault => ({
  status,
  headers: { 'content-type': 'text/html' },
  body,
});
const xmlError = (status: number, code: string): Fault => ({
  status,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`,
});

const STRANGE_ANSWERS: [string, Fault][] = [
  ['404 of a proxy', page(404, '404 page not found\n')],
  ['a login page', page(200)],
  ...[301, 400, 407, 410].map((status): [string, Fault] => [`${status}`, page(status)]),
  ['an expired token', xmlError(400, 'ExpiredToken')],
  ['bytes that were changed on their way', xmlError(400, 'XAmzContentSHA256Mismatch')],
  ['a header beyond all measure', { status: 200, headers: { 'x-long': 'x'.repeat(20_000) } }],
];
async function openBehindProxy() {
  const proxy = await startProxy(process.env.TEST_S3_ENDPOINT!);
  onTestFinished(() => proxy.close());
  const opened = await openS3({ parameters: { endpoint: proxy.url }, spoolBytes: 20_000_000 });
  return { ...opened, proxy, store: storeIn(opened.blobs) };
}

const storeIn =
  (blobs: BlobStore) =>
  (key: string, body = bytes) =>
    storeBlob(blobs, key, body);

const listing = (keys: readonly string[], { isLast = true, next = '' } = {}): Fault => ({
  status: 200,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0"?><ListBucketResult><IsTruncated>${!isLast}</IsTruncated>
    ${next && `<NextContinuationToken>${next}</NextContinuationToken>`}
    ${keys.map((key) => `<Contents><Key>${key}</Key><Size>19</Size><ETag>"a"</ETag></Contents>`).join('')}
    </ListBucketResult>`,
});

onS3(() => {
  test('an answer that is not about the object says nothing of its bytes', async () => {
    const { blobs, proxy, store } = await openBehindProxy();
    const version = await store('d/a');
    for (const [name, fault] of STRANGE_ANSWERS) {
      proxy.rule(() => fault);
      const answers = await Promise.allSettled([
        blobs.read('d/a', { version }),
        blobs.fetch('d/a', { limit, version, signal }),
        stagedIn(blobs),
        blobs.find(['d/a']),
        store('d/b'),
      ]);
      for (const answer of answers) {
        expect(answer, name).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
      }
    }
    proxy.rule();
    expect(await buffer((await blobs.read('d/a', { version }))!)).toEqual(bytes);
  });

  test('a connection that the store breaks while a file is sent is not that of the client', async () => {
    const { proxy, store } = await openBehindProxy();
    proxy.rule(({ method }) => (method === 'PUT' ? { resetAfterBytes: 0 } : undefined));
    await expect(store('d/a')).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('a page of a listing without keys is not its end', async () => {
    const { blobs, bucket, proxy } = await openBehindProxy();
    const prefix = new URL(bucket.url()).pathname.slice(1).replace(/\/$/, '');
    const key = `${prefix}/d/a`;
    proxy.rule(({ path }) =>
      path.includes('continuation-token=more') ? listing([key]) : listing([], { isLast: false, next: 'more' }),
    );
    expect([...(await blobs.find(['d/a', 'd/b'])).keys()]).toEqual(['d/a']);
  });

  test('objects that the store keeps are named, and all others are deleted', async () => {
    const { blobs, bucket, proxy, store } = await openBehindProxy();
    for (const key of ['d/a', 'd/b']) await store(key);
    const keys = ['d/a', ...Array.from({ length: 1005 }, (_, i) => `d/missing-${i}`), 'd/b'];
    const prefix = new URL(bucket.url()).pathname.slice(1).replace(/\/$/, '');
    const denied = `<Error><Key>${prefix}/d/a</Key><Code>AccessDenied</Code></Error>`;
    let answers = 0;
    proxy.rule(({ method }) =>
      method === 'POST' && answers++ === 0
        ? { status: 200, body: `<?xml version="1.0"?><DeleteResult>${denied}</DeleteResult>` }
        : undefined,
    );
    await expect(blobs.delete(keys)).rejects.toMatchObject({ code: 'unavailable', keys: ['d/a'] });
    expect(await bucket.keys()).toEqual(['d/a']);
  });

  test('readers that do not read leave connections for everything else', async () => {
    const { blobs } = await openS3();
    const store = storeIn(blobs);
    const version = await store('d/large', Buffer.alloc(MIB));
    const readers: (Readable | undefined)[] = [];
    for (let i = 0; i < 150; i++) readers.push(await blobs.read('d/large', { version }));
    onTestFinished(() => {
      for (const reader of readers) reader?.destroy();
    });
    await blobs.ping();
    await store('d/a');
    expect([...(await blobs.find(['d/a', 'd/large'])).keys()]).toEqual(['d/a', 'd/large']);
    expect(await buffer((await blobs.read('d/a'))!)).toEqual(bytes);
    await blobs.delete(['d/a']);
  });

  test('a read of a version fails once the object was replaced', async () => {
    const { blobs, bucket, proxy, store } = await openBehindProxy();
    const version = await store('d/a');
    const other = Buffer.from('other bytes of it..');
    await bucket.client.send(new PutObjectCommand({ ...bucket.target('d/a'), Body: other }));
    await expect(blobs.read('d/a', { version })).rejects.toBeInstanceOf(BlobChanged);
    await expect(blobs.fetch('d/a', { limit, version, signal })).rejects.toBeInstanceOf(BlobChanged);
    expect(await buffer((await blobs.read('d/a'))!)).toEqual(other);
    // A proxy that ignores ranges returns more than the receiver was announced.
    proxy.rule(() => ({ alter: ({ headers }) => ({ headers, body: other }) }));
    await expect(buffer((await blobs.read('d/a', { range: { start: 0, end: 5 } }))!)).rejects.toThrow('too many bytes');
  });

  test('a file larger than half of the spool is rejected before it is read', async () => {
    const { blobs, bucket } = await openS3({ spoolBytes: 4 * MIB });
    expect(blobs.maxFileBytes).toBe(2 * MIB);
    const body = Readable.from([Buffer.alloc(3 * MIB)], { objectMode: false });
    const staging = blobs.stage(body, { key: 'd/long', limit, atMostBytes: 3 * MIB, signal });
    await expect(staging).rejects.toMatchObject({
      code: 'no_space',
      message: expect.stringContaining('at most 2097152 bytes'),
    });
    // The test objects of the start are gone too.
    expect([body.readableDidRead, await bucket.keys()]).toEqual([false, []]);
  });
});
