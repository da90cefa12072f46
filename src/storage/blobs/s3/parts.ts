import { randomUUID } from 'node:crypto';
import { addAbortSignal, Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { FairQueue } from '../../fair-queue.js';
import type { ByteLimit } from '../blobs.js';
import { alreadyExists, ingestError, Meter } from '../ingest.js';
import { type S3Bucket, versionOf } from './bucket.js';
import { statusOfError, storeError } from './errors.js';
import { type ByteOptions, waitForBytes } from './spool.js';

const MIB = 1024 * 1024;

/** Parts of at least 5 MiB, and no more than 10,000: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const MIN_PART_BYTES = 5 * MIB;
const MAX_PARTS = 10_000;

/** Parts of one upload that are in flight at once. `Upload` fills one more buffer meanwhile. */
const CONCURRENT_PARTS = 2;

/** An upload in parts that is not complete. */
export interface UnfinishedUpload {
  readonly key: string;
  readonly uploadId: string;
  /** In milliseconds since 1970, by the store's clock. */
  readonly begunAt: number;
}

/**
 * Creates an object: with one PUT if it is small, or else in parts, so that it appears when the last one has arrived. The SDK
 * signs the SHA-256 of each buffer, and the store rejects other bytes.
 *
 * @param options.memory the bytes that the buffers of concurrent uploads share
 * @throws ServiceError `upload_finalized` if the key exists, and as `BlobStore.stage`
 */
export async function writeObject(
  bucket: S3Bucket,
  key: string,
  body: Readable,
  options: ByteOptions & { limit: ByteLimit; atMostBytes: number; memory: FairQueue; maxBytesOfAccount: number },
): Promise<{ version: string; sizeBytes: number; sha256: string }> {
  const { limit, atMostBytes, memory, maxBytesOfAccount, signal } = options;
  const partSize = Math.max(MIN_PART_BYTES, Math.ceil(atMostBytes / MAX_PARTS / MIB) * MIB);
  const bufferBytes = Math.min((CONCURRENT_PARTS + 1) * partSize, atMostBytes, maxBytesOfAccount);
  const mark = randomUUID();
  const meter = new Meter(limit);
  async function* metered(): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of addAbortSignal(signal, body)) {
        meter.add(chunk);
        yield chunk;
      }
    } catch (error) {
      throw ingestError(error);
    }
    // Some stores ignore `If-None-Match` where they combine parts, and would replace the object.
    if (meter.bytes >= partSize && (await bucket.head(key)) !== undefined) throw alreadyExists();
  }
  body.on('error', () => {});
  let release = () => {};
  try {
    release = await waitForBytes(memory, bufferBytes, { ...options, of: 'memory' });
    const Body = Readable.from(metered(), { objectMode: false });
    const params = { ...bucket.target(key), ...bucket.newObject(mark), IfNoneMatch: '*', Body };
    // It aborts the upload after a failure. One that it can't abort is aborted by its age.
    const upload = new Upload({ client: bucket.connection.writer, params, partSize, queueSize: CONCURRENT_PARTS });
    const version = await upload.done().then(versionOf, (error) => {
      signal.throwIfAborted();
      return bucket.ownVersion(key, mark, error);
    });
    return { version, sizeBytes: meter.bytes, sha256: meter.digest() };
  } finally {
    body.destroy();
    release();
  }
}

/** Pages of the uploads in parts that have not ended, of keys with this prefix. @throws what `storeError` returns */
export async function* unfinishedUploads(bucket: S3Bucket, keyPrefix = ''): AsyncGenerator<UnfinishedUpload[]> {
  const { Bucket, Key: Prefix } = bucket.target(keyPrefix);
  let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | undefined = {};
  while (marker !== undefined) {
    const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({ Bucket, Prefix, ...marker });
    const page: ListMultipartUploadsCommandOutput = await bucket.connection.reader.send(command).catch((error) => {
      throw storeError(error);
    });
    yield (page.Uploads ?? []).map(({ Key, UploadId = '', Initiated }) => ({
      key: bucket.nameOf(Key),
      uploadId: UploadId,
      begunAt: Initiated?.getTime() ?? 0,
    }));
    const { NextKeyMarker, NextUploadIdMarker } = page;
    marker = page.IsTruncated ? { KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker } : undefined;
  }
}

/** Deletes the parts of an upload; one that has ended is not an error. @throws what `storeError` returns */
export async function abortUpload(
  bucket: S3Bucket,
  { key, uploadId }: Omit<UnfinishedUpload, 'begunAt'>,
): Promise<void> {
  const command = new AbortMultipartUploadCommand({ ...bucket.target(key), UploadId: uploadId });
  await bucket.connection.writer.send(command).catch((error) => {
    if (statusOfError(error) !== 404) throw storeError(error);
  });
}
