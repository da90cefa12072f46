import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { BlobStore } from '../blobs.js';
import { isPreconditionFailed, isTransient, startError, statusOfError } from './errors.js';
import { presigningOf } from './presigning.js';
import { PROBE_LINK_SECONDS, putThrough } from './probe-links.js';
import { withKnownHash } from './connection/connection.js';
import { type S3Bucket, type StoreCapabilities, versionOf } from './s3-bucket.js';

/** The prefix of the keys of test objects. */
export const PROBE_FOLDER = '.probe/';

const BODY = Buffer.from('probe');
const LONGER_BODY = Buffer.from('longer');

/** An ETag that no object has. */
const STALE = `"${createHash('md5').update('no such bytes').digest('hex')}"`;

/**
 * Detects the capabilities of a store with test objects, which it deletes afterwards. It sends every kind of request that
 * the service needs, so that a missing permission is reported at the start.
 *
 * @throws BackendUnusable that names the missing permission
 */
export async function probe(bucket: S3Bucket): Promise<StoreCapabilities> {
  const { writer, reader } = bucket.connection;
  const folder = `${PROBE_FOLDER}${randomUUID()}`;
  const keys = ['object', 'body', 'length'].map((name) => `${folder}/${name}`);
  const [object, body] = keys.map((key) => bucket.target(key));
  const { Bucket, Key: Prefix } = bucket.target(folder);
  const requiring = <T>(permission: string, work: Promise<T>): Promise<T> =>
    work.catch((error) => {
      throw startError(error, bucket.location, permission);
    });
  // The first request also fails if the store does not answer or the bucket does not exist.
  await requiring('s3:ListBucket', reader.send(new ListObjectsV2Command({ Bucket, Prefix })));
  const put = { ...object!, ...bucket.newObject('probe'), Body: BODY };
  const stored = await requiring('s3:PutObject', writer.send(new PutObjectCommand(put)));
  try {
    const { Body } = await requiring('s3:GetObject', reader.send(new GetObjectCommand(object!)));
    await Body?.transformToByteArray();
    const { UploadId } = await requiring('s3:PutObject', writer.send(new CreateMultipartUploadCommand(object!)));
    const abort = new AbortMultipartUploadCommand({ ...object!, UploadId });
    await requiring('s3:AbortMultipartUpload', writer.send(abort));
    await requiring('s3:ListBucketMultipartUploads', reader.send(new ListMultipartUploadsCommand({ Bucket, Prefix })));
    const isRejected = async (isExpected: (error: unknown) => boolean, work: Promise<unknown>) => {
      const error = await work.then(
        () => undefined,
        (reason) => reason,
      );
      if (error !== undefined && isExpected(error)) return true;
      if (isTransient(error)) throw startError(error, bucket.location, 's3:PutObject');
      return false;
    };
    return {
      tagsAreMd5: versionOf(stored) === createHash('md5').update(BODY).digest('hex'),
      encryption: stored.ServerSideEncryption,
      keepsFirst: await isRejected(
        isPreconditionFailed,
        writer.send(new PutObjectCommand({ ...put, IfNoneMatch: '*' })),
      ),
      matchesVersions: await isRejected(
        isPreconditionFailed,
        reader.send(new GetObjectCommand({ ...object!, IfMatch: STALE })),
      ),
      checksBodies: await isRejected((error) => statusOfError(error) === 400, putWithWrongHash(writer, body!)),
      checksLengths: await isLengthChecked(bucket, keys[2]!),
    };
  } finally {
    const Objects = keys.map((key) => ({ Key: bucket.target(key).Key }));
    await requiring(
      's3:DeleteObject',
      reader.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } })),
    );
  }
}

/**
 * Whether two places in buckets are one, although they are named differently, such as by two endpoints: whether the other has a
 * test object that is stored in the one.
 *
 * @throws ServiceError `unavailable`; the signal's reason
 */
export async function areOnePlace(
  one: BlobStore,
  other: Pick<BlobStore, 'find'>,
  signal: AbortSignal,
): Promise<boolean> {
  const key = `${PROBE_FOLDER}${randomUUID()}`;
  const limit = { bytes: BODY.length, message: 'The test object is longer than itself.' };
  const staged = await one.stage(Readable.from([BODY]), { key, limit, signal });
  try {
    await staged.commit();
    return (await other.find([key])).has(key);
  } finally {
    await one.delete([key]);
  }
}

function putWithWrongHash(writer: S3Client, target: { Bucket: string; Key: string }): Promise<unknown> {
  const command = new PutObjectCommand({ ...target, Body: BODY });
  const wrong = createHash('sha256').update(LONGER_BODY).digest('hex');
  return writer.send(withKnownHash(command, wrong));
}

async function isLengthChecked(bucket: S3Bucket, key: string): Promise<boolean> {
  const presigning = await presigningOf(bucket, bucket.connection.probeSigner);
  const link = await presigning.presign(key, { sizeBytes: BODY.length, expiresInSeconds: PROBE_LINK_SECONDS });
  return (await putThrough(bucket, link, { body: LONGER_BODY })) === 403;
}
