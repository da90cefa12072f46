import { randomUUID } from 'node:crypto';
import { addAbortSignal, type Readable } from 'node:stream';
import {
  CopyObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  paginateListObjectsV2,
} from '@aws-sdk/client-s3';
import { BlobChanged, BlobDamaged, BlobsNotDeleted, type FoundBlob, type ReadOptions } from '../blobs.js';
import { alreadyExists } from '../ingest.js';
import type { Connection } from './connection.js';
import { isMissing, isPreconditionFailed, isRefusedRead, notOfStore, statusOfError, storeError } from './errors.js';
import type { S3Location } from './location.js';
import { type Timeouts, withDeadline } from './timeouts.js';

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html */
const MAX_KEYS_PER_DELETE = 1000;

/** Shorter than the timeout of a load balancer's health check. */
const PING_TIMEOUT_MS = 5000;

/** The metadata key of a random mark. By its mark, an upload recognizes its own object after a lost response. */
const MARK = 'trainyard-upload';

export interface OpenObject {
  readonly body: Readable;
  readonly version: string;
}

export interface ListedObject extends FoundBlob {
  readonly key: string;
  readonly version: string;
  /** In milliseconds since 1970, by the store's clock. */
  readonly changedAt: number;
}

/** The objects of a bucket under a prefix. Each method throws what `storeError` returns. */
export class S3Bucket {
  readonly connection: Connection;
  readonly location: S3Location;
  readonly timeouts: Timeouts;

  constructor(connection: Connection, location: S3Location, timeouts: Timeouts) {
    this.connection = connection;
    this.location = location;
    this.timeouts = timeouts;
  }

  /** The bucket and the prefixed key, for a request. */
  target(key: string): { Bucket: string; Key: string } {
    const { bucket, prefix } = this.location;
    return { Bucket: bucket, Key: prefix === '' ? key : `${prefix}/${key}` };
  }

  /** A key without the prefix. */
  nameOf(key = ''): string {
    return key.slice(this.target('').Key.length);
  }

  /** The metadata and the encryption of a new object. */
  newObject(mark: string) {
    const { encryption } = this.location;
    return {
      Metadata: { [MARK]: mark },
      ...(encryption && { ServerSideEncryption: encryption.algorithm }),
      ...(encryption?.kmsKey !== undefined && { SSEKMSKeyId: encryption.kmsKey }),
    };
  }

  /**
   * The version of an object that was created although the last attempt failed: an earlier one succeeded, and its answer was lost.
   *
   * @throws ServiceError `upload_finalized` if another upload has created the object, or else what `storeError` returns
   */
  async ownVersion(key: string, mark: string, error: unknown): Promise<string> {
    // The SDK's next attempt finds the object or, of an upload in parts, no upload any more.
    const isUnclear = isPreconditionFailed(error) || statusOfError(error) === 404;
    const existing = isUnclear ? await this.head(key) : undefined;
    if (existing === undefined) throw storeError(error);
    if (existing.mark !== mark) throw alreadyExists();
    return existing.version;
  }

  /** The state of an object; `undefined` if there is none. */
  async head(key: string): Promise<{ version: string; mark: string | undefined } | undefined> {
    try {
      const answer = await this.connection.reader.send(new HeadObjectCommand(this.target(key)));
      return { version: versionOf(answer), mark: answer.Metadata?.[MARK] };
    } catch (error) {
      // Such an answer has no body that would name the reason.
      if (statusOfError(error) === 404) return undefined;
      throw storeError(error);
    }
  }

  /** Sends a GET and returns its unread body. @throws BlobChanged, BlobDamaged if the store refuses to return it */
  async get(
    key: string,
    {
      range,
      version,
      signal,
    }: Omit<ReadOptions, 'range'> & { range?: { start: number; end: number | undefined } | undefined } = {},
  ): Promise<OpenObject | undefined> {
    const command = new GetObjectCommand({
      ...this.target(key),
      ...(range && { Range: `bytes=${range.start}-${range.end === undefined ? '' : range.end - 1}` }),
      ...(version && { IfMatch: `"${version}"` }),
    });
    let body: Readable | undefined;
    try {
      const answer = await this.connection.downloader.send(command, signal && { abortSignal: signal });
      body = answer.Body as Readable;
      // The signal of the request does not fire once it is answered.
      if (signal !== undefined) addAbortSignal(signal, body);
      const found = versionOf(answer);
      if (version && found !== version) throw new BlobChanged(key);
      return { body, version: found };
    } catch (error) {
      body?.destroy();
      signal?.throwIfAborted();
      if (isMissing(error)) return undefined;
      if (isPreconditionFailed(error)) throw new BlobChanged(key);
      if (isRefusedRead(error)) throw new BlobDamaged(key, `does not return it (${error.message})`, { cause: error });
      throw storeError(error);
    }
  }

  /**
   * Copies an object of at most 5 GiB inside the store, without the metadata that its client has given it.
   *
   * @param version that the object must have
   * @returns the version of the copy
   * @throws BlobChanged
   */
  async copy(from: string, to: string, version: string): Promise<string> {
    const command = new CopyObjectCommand({
      ...this.target(to),
      ...this.newObject(randomUUID()),
      CopySource: copySourceOf(this.target(from)),
      CopySourceIfMatch: `"${version}"`,
      MetadataDirective: 'REPLACE',
    });
    try {
      return versionOf((await this.connection.reader.send(command)).CopyObjectResult ?? {});
    } catch (error) {
      if (isMissing(error) || isPreconditionFailed(error)) throw new BlobChanged(from);
      throw storeError(error);
    }
  }

  /** Lists objects with this prefix and keys after `after`, ordered by key, in pages of up to 1000; one request each. */
  async *list(keyPrefix: string, after?: string): AsyncGenerator<readonly ListedObject[]> {
    const { Bucket, Key: Prefix } = this.target(keyPrefix);
    const start = after === undefined ? {} : { StartAfter: this.target(after).Key };
    const pages = paginateListObjectsV2({ client: this.connection.reader }, { Bucket, Prefix, ...start });
    try {
      for await (const { Contents = [], IsTruncated } of pages) {
        // Every page of a store says whether it is the last one.
        if (IsTruncated === undefined) throw notOfStore('request for a listing');
        yield Contents.map((object) => ({
          key: this.nameOf(object.Key),
          sizeBytes: object.Size ?? 0,
          version: versionOf(object),
          changedAt: object.LastModified?.getTime() ?? 0,
        }));
      }
    } catch (error) {
      throw storeError(error);
    }
  }

  /** Finds which of these keys of one dataset exist, with listings: one request for up to 1000 keys. */
  async find(keys: readonly string[]): Promise<Map<string, FoundBlob>> {
    const wanted = new Set(keys);
    const found = new Map<string, FoundBlob>();
    const sorted = keys.toSorted();
    const [first = '', last = ''] = [sorted[0], sorted.at(-1)];
    if (first === '') return found;
    // The key without its last character sorts before the first key.
    for await (const page of this.list(first.slice(0, first.indexOf('/') + 1), first.slice(0, -1))) {
      for (const { key, sizeBytes, version } of page) if (wanted.has(key)) found.set(key, { sizeBytes, version });
      if ((page.at(-1)?.key ?? '') >= last) break;
    }
    return found;
  }

  /** @throws BlobsNotDeleted if the store keeps some of them */
  async delete(keys: readonly string[]): Promise<void> {
    const kept: { key: string; reason: string }[] = [];
    for (let i = 0; i < keys.length; i += MAX_KEYS_PER_DELETE) {
      const Objects = keys.slice(i, i + MAX_KEYS_PER_DELETE).map((key) => ({ Key: this.target(key).Key }));
      const command = new DeleteObjectsCommand({ Bucket: this.location.bucket, Delete: { Objects, Quiet: true } });
      const { Errors = [] } = await this.connection.reader.send(command).catch((error) => {
        throw storeError(error);
      });
      for (const { Key, Code = '' } of Errors) {
        if (Code !== 'NoSuchKey') kept.push({ key: this.nameOf(Key), reason: Code });
      }
    }
    if (kept.length > 0) throw new BlobsNotDeleted(kept);
  }

  async ping(): Promise<void> {
    const command = new HeadBucketCommand({ Bucket: this.location.bucket });
    const ask = (abortSignal: AbortSignal) => this.connection.reader.send(command, { abortSignal });
    await withDeadline(PING_TIMEOUT_MS, ask).catch((error) => {
      throw storeError(error);
    });
  }
}

/** As `x-amz-copy-source` names an object. */
export function copySourceOf({ Bucket, Key }: { Bucket: string; Key: string }): string {
  return [Bucket, ...Key.split('/')].map(encodeURIComponent).join('/');
}

/**
 * An ETag without quotes, which some stores omit.
 *
 * @throws ServiceError `unavailable` for an answer without one, such as the login page of a proxy
 */
export function versionOf({ ETag = '' }: { ETag?: string | undefined }): string {
  const version = ETag.replace(/^"|"$/g, '');
  if (version === '') throw notOfStore('request for an object');
  return version;
}
