import { randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListObjectsV2Command,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { parseS3Url } from '../../../../src/storage/blobs/s3/location.js';
import { S3Blobs } from '../../../../src/storage/blobs/s3/s3-blobs.js';
import { onS3, openS3, stagedIn, storeBlob } from '../../../harness/backends.js';
import { documentedPolicy, linkCredentials, newClient } from '../../../harness/s3.js';
import { temporaryFolder } from '../../../harness/server.js';

const signal = new AbortController().signal;
const limit = { bytes: 100_000_000, message: 'too much of it' };
const ALL_USERS = 'uri="http://acs.amazonaws.com/groups/global/AllUsers"';

interface Policy {
  Version: string;
  Statement: { Effect: string; Action: string[] | string; Condition?: { StringLike: Record<string, string> } }[];
}

/** Sends ten bytes through a link. */
async function put(url: string, headers: Record<string, string> = {}): Promise<number> {
  const response = await fetch(url, { method: 'PUT', body: 'a'.repeat(10), headers });
  await response.arrayBuffer();
  return response.status;
}

/** Opens a store in a bucket of its own, whose policy is a changed form of the documented one for a user, by default its owner. */
async function openWithPolicy(change: (policy: Policy) => Policy, user = 'trainyard') {
  const bucket = `links-${randomUUID()}`;
  const owner = newClient();
  onTestFinished(async () => {
    const { Contents = [] } = await owner.send(new ListObjectsV2Command({ Bucket: bucket }));
    for (const { Key } of Contents) await owner.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
    await owner.send(new DeleteBucketCommand({ Bucket: bucket }));
    owner.destroy();
  });
  await owner.send(new CreateBucketCommand({ Bucket: bucket }));
  const names = { SERVICE: user, LINKS: 'trainyard-links', BUCKET: bucket, PREFIX: 'p' };
  const policy = change(JSON.parse(documentedPolicy(names)));
  await owner.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: JSON.stringify(policy) }));
  if (user === 'stranger') beStranger();
  const warnings: string[] = [];
  const endpoint = encodeURIComponent(process.env.TEST_S3_ENDPOINT!);
  const blobs = await S3Blobs.open(parseS3Url(`s3://${bucket}/p?endpoint=${endpoint}`), {
    spoolFolder: await temporaryFolder(),
    spoolBytes: 200_000_000,
    log: (level, _facts, message) => level === 'warn' && warnings.push(message),
    linkCredentials: linkCredentials(),
  });
  onTestFinished(() => blobs.close());
  const { Contents = [] } = await owner.send(new ListObjectsV2Command({ Bucket: bucket }));
  return { blobs, warnings, left: Contents.map(({ Key }) => Key) };
}

/** Makes the store use the second user until the end of the test. */
function beStranger(): void {
  const own = { ...process.env };
  const [AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY] = (process.env.TEST_S3_STRANGER ?? '').split(':');
  Object.assign(process.env, { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY });
  onTestFinished(() => void Object.assign(process.env, own));
}

const without = (isLeftOut: (statement: Policy['Statement'][number]) => boolean) => (policy: Policy) => ({
  ...policy,
  Statement: policy.Statement.filter((statement) => !isLeftOut(statement)),
});
const isCopyDenied = ({ Effect, Action }: Policy['Statement'][number]) =>
  Effect === 'Deny' && Action.includes('s3:GetObject');

onS3(() => {
  beforeEach(({ skip }) => {
    if (process.env.TEST_S3_CEPH_HOME === undefined) skip('the users and the obedience of the local Ceph are known');
  });

  describe('a link, with the documented policy', () => {
    test('copies no other object, whichever user has written it', async () => {
      const { blobs, bucket } = await openS3();
      await bucket.client.send(new PutObjectCommand({ ...bucket.target('d/ours'), Body: 'SECRET' }));
      const { presign } = blobs.presigning!;
      const link = async (key: string) => (await presign(key, { sizeBytes: 10, expiresInSeconds: 60 })).url;
      expect(await put(await link('d/theirs'))).toBe(200);
      for (const key of ['d/ours', '.staging/d/theirs']) {
        const { Bucket, Key } = bucket.target(key);
        const headers: Record<string, string>[] = [
          { 'x-amz-copy-source': `/${Bucket}/${Key}` },
          { 'x-amz-copy-source': `/${Bucket}/${Key}?versionId=null` },
          { 'X-AMZ-Copy-Source': `${Bucket}/${Key}`, 'x-amz-copy-source-range': 'bytes=0-3' },
          { 'x-amz-copy-source': `/${Bucket}/${Key}`, 'x-amz-metadata-directive': 'REPLACE' },
        ];
        const statuses = [];
        for (const copy of headers) statuses.push(await put(await link('d/copy'), copy));
        expect([key, statuses.filter((status) => status < 400)]).toEqual([key, []]);
      }
      expect(await bucket.keys()).toEqual(['.staging/d/theirs', 'd/ours']);
    });

    test('makes nothing public', async () => {
      const { blobs, bucket } = await openS3();
      const { url } = await blobs.presigning!.presign('d/a', { sizeBytes: 10, expiresInSeconds: 60 });
      const grants = ['read', 'write', 'read-acp', 'write-acp', 'full-control'];
      const headers: [name: string, value: string][] = [
        ['x-amz-acl', 'public-read'],
        ['x-amz-acl', 'bucket-owner-read'],
        ...grants.map((right): [string, string] => [`x-amz-grant-${right}`, ALL_USERS]),
        ['x-amz-grant-read', 'id="stranger"'],
      ];
      for (const [name, value] of headers) {
        expect([name, value, await put(url, { [name]: value })]).toEqual([name, value, 403]);
      }
      expect(await bucket.keys()).toEqual([]);
    });
  });

  test('links are not presigned, and the log says why, with a policy that does not deny copies or public objects', async () => {
    const isAclDenied = ({ Condition }: Policy['Statement'][number]) =>
      Condition?.StringLike['s3:x-amz-acl'] !== undefined;
    for (const [isLeftOut, reason] of [
      [isCopyDenied, 'x-amz-copy-source'],
      [isAclDenied, 'x-amz-acl'],
    ] as const) {
      const { blobs, warnings, left } = await openWithPolicy(without(isLeftOut));
      expect([blobs.presigning, warnings, left]).toEqual([undefined, [expect.stringContaining(reason)], []]);
    }
  });

  test.each([
    ['may not write', ({ Action }: Policy['Statement'][number]) => Action === 's3:PutObject', 'may not s3:PutObject'],
    [
      'writes what the service may not read',
      ({ Action }: Policy['Statement'][number]) => Action.includes('s3:GetObject'),
      'grant it s3:GetObject',
    ],
  ])('a signing user who %s ends the start with the reason', async (_, isLeftOut, reason) => {
    await expect(openWithPolicy(without(isLeftOut))).rejects.toThrow(reason);
  });

  test('with the documented policy, links are presigned, and the store needs no other permissions', async () => {
    const { blobs, warnings, left } = await openWithPolicy((policy) => policy, 'stranger');
    expect([blobs.presigning === undefined, warnings, left]).toEqual([false, [], []]);
    await blobs.ping();
    for (const [key, bytes] of [
      ['d/small', Buffer.from('hello')],
      ['d/large', Buffer.alloc(20_000_000, 'x')],
    ] as const) {
      const version = await storeBlob(blobs, key, bytes);
      const body = await blobs.read(key, { version });
      expect((await buffer(body!)).equals(bytes), key).toBe(true);
      const fetched = await blobs.fetch(key, { limit, version, signal });
      expect(fetched?.sizeBytes).toBe(bytes.length);
      await fetched?.discard();
    }
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
  });
});
