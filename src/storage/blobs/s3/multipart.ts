import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { addAbortSignal, type Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { ServiceError } from '../../../dataset/errors.js';
import type { ByteLimit } from '../blobs.js';
import { ingestError } from '../ingest.js';
import { isPreconditionFailed, statusOfError, storeError } from './errors.js';
import type { PartBuffer, PartMemory } from './part-memory.js';
import { type S3Bucket, versionOf } from './s3-bucket.js';

const MIB = 1024 * 1024;

/** Parts of at least 5 MiB, and no more than 10,000: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const MAX_PARTS = 10_000;
const PART_BYTES = 8 * MIB;

/** Of one upload, on their way at once. */
const PARTS_AT_ONCE = 3;

/** An upload to which nothing was added for so long belongs to nobody any more. */
const ABANDONED_MS = 24 * 60 * 60 * 1000;

/** How large the parts of a body are that has no more bytes than that. */
function partBytesFor(atMostBytes: number): number {
  return Math.max(PART_BYTES, Math.ceil(atMostBytes / MAX_PARTS / MIB) * MIB);
}

export interface MultipartOptions {
  readonly limit: ByteLimit;
  readonly atMostBytes: number;
  /** The memory that parts of several uploads share. */
  readonly memory: PartMemory;
  /** Of all of it, where it is known already; lower-case hexadecimal. */
  readonly sha256?: string | undefined;
  readonly keepsFirst: boolean;
  readonly signal: AbortSignal;
}

export interface Uploaded {
  readonly version: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** Multipart uploads that this process has under way, by their ids. */
export type OpenUploadIds = Set<string>;

/**
 * Uploads a body in parts as it comes, in bounded memory. It may be made of many: until the last is there, nothing is seen
 * under the key.
 *
 * @throws ServiceError `upload_finalized` where the key is taken, and as `BlobStore.stage`
 */
export async function uploadInParts(
  bucket: S3Bucket,
  key: string,
  body: Readable,
  { underway, ...options }: MultipartOptions & { underway: OpenUploadIds },
): Promise<Uploaded> {
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
  underway.add(UploadId ?? '');
  try {
    const sent = await sendParts(bucket, { upload, body, ...options });
    const { Parts, ...facts } = sent;
    if ((await bucket.head(key)) !== undefined) throw alreadyExists();
    const complete = new CompleteMultipartUploadCommand({
      ...upload,
      MultipartUpload: { Parts },
      ...(options.keepsFirst && { IfNoneMatch: '*' }),
    });
    const version = await writer.send(complete, { abortSignal: signal }).then(versionOf, async (error) => {
      // Tried again after a lost answer, it finds no upload any more, or its own object.
      const isUnclear = isPreconditionFailed(error) || statusOfError(error) === 404;
      const there = isUnclear ? await bucket.head(key) : undefined;
      if (there?.mark === mark) return there.version;
      throw there === undefined ? error : alreadyExists();
    });
    return { version, ...facts };
  } catch (error) {
    await writer.send(new AbortMultipartUploadCommand(upload)).catch(() => {
      // The periodic cleaning comes for it.
    });
    signal.throwIfAborted();
    throw storeError(ingestError(error));
  } finally {
    underway.delete(UploadId ?? '');
  }
}

/** As `uploadInParts`, for a file of this machine. */
export function uploadFileInParts(
  bucket: S3Bucket,
  key: string,
  { path, ...options }: MultipartOptions & { path: string; underway: OpenUploadIds },
): Promise<Uploaded> {
  return uploadInParts(bucket, key, createReadStream(path, { highWaterMark: MIB }), options);
}

export function alreadyExists(): ServiceError {
  return new ServiceError('upload_finalized', 'This upload has already been completed by another request.');
}

async function sendParts(
  bucket: S3Bucket,
  options: MultipartOptions & { upload: { Bucket: string; Key: string; UploadId: string | undefined }; body: Readable },
) {
  const { upload, body, limit, atMostBytes, memory, signal } = options;
  const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
  const hash = options.sha256 === undefined ? createHash('sha256') : undefined;
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const inFlight = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  let sizeBytes = 0;
  const fail = (error: unknown) => {
    failure ??= { error };
    stop.abort();
  };
  const send = async (part: FullPart, PartNumber: number) => {
    const command = new UploadPartCommand({
      ...upload,
      PartNumber,
      Body: part.bytes,
      ContentLength: part.bytes.length,
    });
    const { ETag } = await bucket.connection.writer.send(command, { abortSignal: either });
    Parts[PartNumber - 1] = { PartNumber, ETag };
  };
  try {
    let number = 0;
    const onChunk = (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes > limit.bytes) throw new ServiceError('too_large', limit.message);
      hash?.update(chunk);
    };
    for await (const part of partsOf(addAbortSignal(either, body), {
      bytes: partBytesFor(atMostBytes),
      memory,
      onChunk,
      signal: either,
    })) {
      const sent = send(part, ++number)
        .catch(fail)
        .finally(() => {
          part.release();
          inFlight.delete(sent);
        });
      inFlight.add(sent);
      if (inFlight.size >= PARTS_AT_ONCE) await Promise.race(inFlight);
      if (failure !== undefined) break;
    }
  } catch (error) {
    fail(error);
  }
  // Parts that arrive after the upload was aborted would stay.
  await Promise.all(inFlight);
  signal.throwIfAborted();
  if (failure !== undefined) throw failure.error;
  return { Parts, sizeBytes, sha256: hash?.digest('hex') ?? options.sha256 ?? '' };
}

/** Of its bytes, only those that are filled. */
type FullPart = PartBuffer;

/** Gathers chunks to parts, all but the last of the same size. Memory for each is taken before its first byte is read. */
async function* partsOf(
  body: Readable,
  options: { bytes: number; memory: PartMemory; onChunk: (chunk: Buffer) => void; signal: AbortSignal },
): AsyncGenerator<FullPart> {
  const { bytes, memory, onChunk, signal } = options;
  const chunks = body.iterator({ destroyOnReturn: true });
  let rest: Buffer = Buffer.alloc(0);
  for (let isFirst = true; ; isFirst = false) {
    const part = await memory.acquire(bytes, signal);
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
      throw error;
    }
    if (filled === 0 && !isFirst) return part.release();
    yield { ...part, bytes: part.bytes.subarray(0, filled) };
    if (filled < bytes) return;
  }
}

/** Aborts uploads under our prefix that nobody has added to for a day. What they hold is paid for, and not to be seen. */
export async function abortAbandoned(bucket: S3Bucket, underway: OpenUploadIds, now: () => number): Promise<void> {
  const { reader } = bucket.connection;
  const { Bucket, Key: Prefix } = bucket.target('');
  const isOld = (date: Date | undefined) => date !== undefined && date.getTime() < now() - ABANDONED_MS;
  let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {};
  for (;;) {
    const command = new ListMultipartUploadsCommand({ Bucket, Prefix, ...definedOf(marker) });
    const page = await reader.send(command);
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (!isOld(Initiated) || underway.has(UploadId ?? '')) continue;
      const upload = { Bucket, Key, UploadId };
      // A long upload of another instance began as long ago, and goes on.
      if (await isGoingOn(bucket, upload, isOld)) continue;
      await reader.send(new AbortMultipartUploadCommand(upload));
    }
    if (!page.IsTruncated) return;
    marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
  }
}

async function isGoingOn(
  bucket: S3Bucket,
  upload: { Bucket: string; Key: string | undefined; UploadId: string | undefined },
  isOld: (date: Date | undefined) => boolean,
): Promise<boolean> {
  for (let PartNumberMarker: string | undefined; ; ) {
    const command = new ListPartsCommand({ ...upload, ...definedOf({ PartNumberMarker }) });
    const page = await bucket.connection.reader.send(command);
    if (page.Parts?.some(({ LastModified }) => LastModified !== undefined && !isOld(LastModified))) return true;
    if (!page.IsTruncated) return false;
    PartNumberMarker = page.NextPartNumberMarker;
  }
}

function definedOf<T extends object>(values: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}
