import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListObjectsV2Command,
  PutBucketPolicyCommand,
} from '@aws-sdk/client-s3';
import { expect, onTestFinished, test } from 'vitest';
import { parseS3Url } from '../../../../src/storage/blobs/s3/location.js';
import { S3Blobs } from '../../../../src/storage/blobs/s3/s3-blobs.js';
import { onS3, stagedIn } from '../../../harness/backends.js';
import { documentedPolicy, linkCredentials, newClient } from '../../../harness/s3.js';
import { temporaryFolder } from '../../../harness/server.js';

const signal = new AbortController().signal;
const limit = { bytes: 100_000_000, message: 'too much of it' };

onS3(() => {
  test('the store needs only the permissions of the documented policy', async ({ skip }) => {
    const [accessKeyId = '', secretAccessKey = ''] = (process.env.TEST_S3_STRANGER ?? '').split(':');
    if (accessKeyId === '') skip('this store has no second user: TEST_S3_STRANGER names one, as key:secret');
    const bucket = `policy-${Date.now()}-${process.pid}`;
    const owner = newClient();
    await owner.send(new CreateBucketCommand({ Bucket: bucket }));
    const names = { SERVICE: 'stranger', LINKS: 'trainyard-links', BUCKET: bucket, PREFIX: 'some/prefix' };
    await owner.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: documentedPolicy(names) }));
    const own = { ...process.env };
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey });
    onTestFinished(async () => {
      Object.assign(process.env, own);
      const { Contents = [] } = await owner.send(new ListObjectsV2Command({ Bucket: bucket }));
      for (const { Key } of Contents) await owner.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
      await owner.send(new DeleteBucketCommand({ Bucket: bucket }));
      owner.destroy();
    });
    const endpoint = encodeURIComponent(process.env.TEST_S3_ENDPOINT!);
    const blobs = await S3Blobs.open(parseS3Url(`s3://${bucket}/some/prefix?endpoint=${endpoint}`), {
      spoolFolder: await temporaryFolder(),
      spoolBytes: 200_000_000,
      log: () => {},
      linkCredentials: linkCredentials(),
    });
    try {
      await blobs.ping();
      for (const [key, bytes] of [
        ['d/small', Buffer.from('hello')],
        ['d/large', Buffer.alloc(20_000_000, 'x')],
      ] as const) {
        const staged = await blobs.stage(Readable.from([bytes]), { key, limit, atMostBytes: bytes.length, signal });
        const { version } = await staged.commit();
        const body = await blobs.read(key, { version });
        expect((await buffer(body!)).equals(bytes), key).toBe(true);
        const fetched = await blobs.fetch(key, { limit, version, signal });
        expect(fetched?.sizeBytes).toBe(bytes.length);
        await fetched?.discard();
      }
      const failing = new Readable({ read() {} });
      failing.push(Buffer.alloc(12_000_000, 'y'));
      const staging = blobs.stage(failing, { key: 'd/failed', limit, atMostBytes: 20_000_000, signal });
      setImmediate(() => failing.destroy(new Error('the client disconnected')));
      await expect(staging).rejects.toThrow();
      const link = await blobs.presigning!.presign('d/linked', { sizeBytes: 5, expiresInSeconds: 60 });
      expect((await fetch(link.url, { method: 'PUT', body: 'hello' })).status).toBe(200);
      const received = await blobs.staging.receive('d/linked', { limit, signal });
      const { version } = await received!.commit();
      expect(await buffer((await blobs.read('d/linked', { version }))!)).toEqual(Buffer.from('hello'));
      await blobs.staging.delete(['d/linked']);
      const keys = ['d/large', 'd/linked', 'd/small'];
      expect([...(await blobs.find(keys)).keys()]).toEqual(keys);
      await blobs.delete(keys);
      expect([(await blobs.find(keys)).size, await stagedIn(blobs)]).toEqual([0, []]);
    } finally {
      await blobs.close();
    }
  });
});
