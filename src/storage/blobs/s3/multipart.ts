import { createHash, randomUUID } from 'node:crypto';
import { addAbortSignal, type Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { anySignal } from '../../../abort-signals.js';
import { ServiceError } from '../../../dataset/errors.js';
import type { ByteLimit } from '../blobs.js';
import { alreadyExists, ingestError } from '../ingest.js';
import type { ByteOptions } from '../wait-for-bytes.js';
import { isPreconditionFailed, statusOfError, storeError } from './errors.js';
import { partsOfUpload, unfinishedUploads } from './listings.js';
import type { PartBuffer, PartMemory } from './part-memory.js';
import { hasMd5, otherBytes, type S3Bucket, type StoreCapabilities, taggedVersion } from './s3-bucket.js';

const MIB = 1024 * 1024;

/** Parts of at least 5 MiB, and no more than 10,000: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const MAX_PARTS = 10_000;
const PART_BYTES = 8 * MIB;

/** Parts of one upload that are in flight at once. */
const MAX_CONCURRENT_PARTS = 3;

/** An upload without a new part for this long is abandoned. */
const ABANDONED_MS = 24 * 60 * 60 * 1000;

export interface MultipartOptions extends ByteOptions {
  readonly limit: ByteLimit;
  readonly atMostBytes: number;
  /** Shared by concurrent uploads. */
  readonly memory: PartMemory;
  /** Of the whole body, lower-case hexadecimal; computed if it is not given. */
  readonly sha256?: string | undefined;
  readonly capabilities: StoreCapabilities;
}

/** The ids of the multipart uploads of this process that are in flight. */
export type OpenUploadIds = Set<string>;

/**
 * Streams a body into a multipart upload, with bounded memory. The object appears only when the upload is completed.
 *
 * @throws ServiceError `upload_finalized` if the key already exists, `unavailable` if the store has stored other bytes than it was
 * sent, and as `BlobStore.stage`
 */
export async function uploadInParts(
  bucket: S3Bucket,
  key: string,
  body: Readable,
  { openUploads, ...options }: MultipartOptions & { openUploads: OpenUploadIds },
): Promise<{ version: string; sizeBytes: number; sha256: string }> {
  const { signal } = options;
  const mark = randomUUID();
  const create = new CreateMultipartUploadCommand({ ...bucket.target(key), ...bucket.newObject(mark) });
  const { writer } = bucket.connection;
  const { UploadId } = await writer.send(create, { abortSignal: signal }).catch((error) => {
    body.destroy();
    signal.throwIfAborted();
    throw storeError(error);
  });
  const upload = { ...bucket.target(key), UploadId };
  openUploads.add(UploadId ?? '');
  try {
    const { Parts, ...facts } = await sendParts(bucket, { upload, body, ...options });
    if ((await bucket.head(key)) !== undefined) throw alreadyExists();
    const complete = new CompleteMultipartUploadCommand({
      ...upload,
      MultipartUpload: { Parts },
      ...(options.capabilities.keepsFirst && { IfNoneMatch: '*' }),
    });
    const version = await writer.send(complete, { abortSignal: signal }).then(taggedVersion, async (error) => {
      // If the response to the first attempt is lost, the retry finds no upload, or the object that it has completed.
      const isUnclear = isPreconditionFailed(error) || statusOfError(error) === 404;
      const existing = isUnclear ? await bucket.head(key) : undefined;
      if (existing?.mark === mark) return existing.version;
      throw existing === undefined ? error : alreadyExists();
    });
    await requireWhole(bucket, key, { version, sizeBytes: facts.sizeBytes });
    return { version, ...facts };
  } catch (error) {
    await writer.send(new AbortMultipartUploadCommand(upload)).catch(() => {
      // `abortAbandoned` aborts it later.
    });
    signal.throwIfAborted();
    throw storeError(error);
  } finally {
    openUploads.delete(UploadId ?? '');
  }
}

/**
 * Deletes an object that the store has combined from fewer parts than it was sent.
 *
 * @throws ServiceError `unavailable` then, and as `S3Bucket.head` and `delete`
 */
async function requireWhole(
  bucket: S3Bucket,
  key: string,
  { version, sizeBytes }: { version: string; sizeBytes: number },
): Promise<void> {
  const stored = await bucket.head(key);
  // An object of another version is that of another upload.
  if (stored?.version !== version || stored.sizeBytes === undefined || stored.sizeBytes === sizeBytes) return;
  await bucket.delete([key]);
  throw otherBytes(`${key} should have ${sizeBytes} bytes, but has ${stored.sizeBytes}`, { ETag: version });
}

async function sendParts(
  bucket: S3Bucket,
  options: MultipartOptions & { upload: { Bucket: string; Key: string; UploadId: string | undefined }; body: Readable },
) {
  const { upload, body, limit, atMostBytes, memory, accountId, capabilities, signal } = options;
  const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
  const hash = options.sha256 === undefined ? createHash('sha256') : undefined;
  const stop = new AbortController();
  const { signal: either, release } = anySignal([signal, stop.signal]);
  const inFlight = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  let sizeBytes = 0;
  const fail = (error: unknown) => {
    failure ??= { error };
    stop.abort();
  };
  const send = async (part: PartBuffer, PartNumber: number) => {
    const { bytes } = part;
    const command = new UploadPartCommand({ ...upload, PartNumber, Body: bytes, ContentLength: bytes.length });
    const md5 = createHash('md5').update(bytes).digest('hex');
    const sendOnce = () => bucket.connection.writer.send(command, { abortSignal: either });
    let answer = await sendOnce();
    if (!hasMd5(answer, md5, capabilities)) answer = await sendOnce();
    if (!hasMd5(answer, md5, capabilities)) throw otherBytes(`The MD5 of part ${PartNumber} is ${md5}`, answer);
    Parts[PartNumber - 1] = { PartNumber, ETag: answer.ETag };
  };
  try {
    let number = 0;
    const onChunk = (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes > limit.bytes) throw new ServiceError('too_large', limit.message);
      hash?.update(chunk);
    };
    const bytes = Math.max(PART_BYTES, Math.ceil(atMostBytes / MAX_PARTS / MIB) * MIB);
    const parts = partsOf(addAbortSignal(either, body), { bytes, memory, accountId, onChunk, signal: either });
    for await (const part of parts) {
      const sent = send(part, ++number)
        .catch(fail)
        .finally(() => {
          part.release();
          inFlight.delete(sent);
        });
      inFlight.add(sent);
      if (inFlight.size >= MAX_CONCURRENT_PARTS) await Promise.race(inFlight);
      if (failure !== undefined) break;
    }
  } catch (error) {
    fail(error);
  }
  // A part that arrives after the upload was aborted would stay in the bucket.
  await Promise.all(inFlight).finally(release);
  signal.throwIfAborted();
  if (failure !== undefined) throw failure.error;
  return { Parts, sizeBytes, sha256: hash?.digest('hex') ?? options.sha256 ?? '' };
}

/**
 * Combines chunks into filled parts of equal size, the last one smaller. Acquires memory before it reads a part.
 *
 * @throws as `ingestError` for an error of the body, here, since one of the store has the same code
 */
async function* partsOf(
  body: Readable,
  options: ByteOptions & { bytes: number; memory: PartMemory; onChunk: (chunk: Buffer) => void },
): AsyncGenerator<PartBuffer> {
  const { bytes, memory, onChunk } = options;
  const chunks = body.iterator({ destroyOnReturn: true });
  let rest: Buffer = Buffer.alloc(0);
  for (let isFirst = true; ; isFirst = false) {
    const part = await memory.acquire(bytes, options);
    let filled = 0;
    try {
      while (filled < bytes) {
        if (rest.length === 0) {
          const next = await chunks.next();
          if (next.done) break;
          rest = next.value as Buffer;
          onChunk(rest);
        }
        const copied = rest.copy(part.bytes, filled);
        filled += copied;
        rest = rest.subarray(copied);
      }
    } catch (error) {
      part.release();
      throw ingestError(error);
    }
    if (filled === 0 && !isFirst) return part.release();
    yield { ...part, bytes: part.bytes.subarray(0, filled) };
    if (filled < bytes) return;
  }
}

/**
 * Aborts multipart uploads below our prefix without a new part for a day. Their parts are invisible but cost money.
 *
 * @throws Error of the SDK, and as `unfinishedUploads`
 */
export async function abortAbandoned(bucket: S3Bucket, openUploads: OpenUploadIds, now: () => number): Promise<void> {
  const { reader } = bucket.connection;
  // The store's clock made these dates, and that of this machine may be days off. The SDK takes the offset from the `Date` header
  // of each answer, such as the listing of the uploads. A duration that this process measures would begin again at each restart.
  const storeNow = () => now() + reader.config.systemClockOffset;
  const isOld = (date: Date | undefined) => date !== undefined && date.getTime() < storeNow() - ABANDONED_MS;
  for await (const uploads of unfinishedUploads(bucket)) {
    for (const { Key = '', UploadId = '', Initiated } of uploads) {
      if (!isOld(Initiated) || openUploads.has(UploadId)) continue;
      const upload = { Bucket: bucket.location.bucket, Key, UploadId };
      // An upload of another instance may be old and still in flight.
      if (await hasNewParts(bucket, upload, isOld)) continue;
      await reader.send(new AbortMultipartUploadCommand(upload));
    }
  }
}

async function hasNewParts(
  bucket: S3Bucket,
  upload: { Bucket: string; Key: string; UploadId: string },
  isOld: (date: Date | undefined) => boolean,
): Promise<boolean> {
  for await (const parts of partsOfUpload(bucket, upload)) {
    if (parts.some(({ LastModified }) => LastModified !== undefined && !isOld(LastModified))) return true;
  }
  return false;
}
