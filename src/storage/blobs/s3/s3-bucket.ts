import { createHash, randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { ServiceError } from '../../../dataset/errors.js';
import { withTimeout } from '../../../with-timeout.js';
import { BlobChanged, BlobDamaged, type FoundBlob, type ObjectPage } from '../blobs.js';
import {
  type Connection,
  type Timeouts,
  totalMsOf,
  withDeadline,
  withIdleTimeout,
  withKnownHash,
} from './connection.js';
import { isMissing, isPreconditionFailed, isRefusedRead, isTransient, storeError } from './errors.js';
import type { S3Location } from './location.js';

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html */
const MAX_KEYS_PER_DELETE = 1000;

/** Shorter than the timeout of a load balancer's health check. */
const PING_TIMEOUT_MS = 5000;

/** The metadata key of a random mark. By its mark, an upload recognizes its own object after a lost response. */
const MARK = 'trainyard-upload';

/** The capabilities of a store, as detected by `probe`. */
export interface StoreCapabilities {
  /** The ETag of an object that was stored with one PUT is the MD5 of its bytes. */
  readonly tagsAreMd5: boolean;
  /** That of new objects, as the store reports it. The ETag of an object with another encryption may not be an MD5. */
  readonly encryption: string | undefined;
  /** PUT with `If-None-Match: *` never replaces an object. */
  readonly keepsFirst: boolean;
  /** GET with `If-Match` rejects another version. The ETag of the response is compared in any case. */
  readonly matchesVersions: boolean;
  /** The store rejects a PUT if the body does not have the signed SHA-256. */
  readonly checksBodies: boolean;
  /** The store rejects a presigned PUT if the body does not have the signed length. */
  readonly checksLengths: boolean;
}

export interface ObjectState {
  readonly sizeBytes: number;
  readonly version: string;
  readonly mark: string | undefined;
}

export interface OpenObject {
  readonly body: Readable;
  readonly version: string;
  readonly answer: TaggedAnswer;
}

/** What the store says about an object. */
export interface TaggedAnswer {
  readonly ETag?: string | undefined;
  readonly ServerSideEncryption?: string | undefined;
  readonly SSECustomerAlgorithm?: string | undefined;
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
   * Stores an object with one PUT. Each attempt opens the body again.
   *
   * @returns its version; `undefined` if the key already exists, as far as the store detects it
   */
  async put(
    key: string,
    body: { open: () => Readable; sizeBytes: number; sha256: string; md5: string },
    capabilities: StoreCapabilities,
  ): Promise<string | undefined> {
    const { keepsFirst } = capabilities;
    if (!keepsFirst && (await this.head(key)) !== undefined) return undefined;
    const mark = randomUUID();
    try {
      return await this.#withRetries(body.sizeBytes, async (deadline) => {
        const Body = body.open();
        const failed = new AbortController();
        Body.once('error', (error) => failed.abort(error));
        const command = new PutObjectCommand({
          ...this.target(key),
          ...this.newObject(mark),
          ...(keepsFirst && { IfNoneMatch: '*' }),
          Body,
          ContentLength: body.sizeBytes,
        });
        const sent = this.connection.writer.send(withKnownHash(command, body.sha256), {
          abortSignal: AbortSignal.any([failed.signal, deadline]),
        });
        // The SDK does not close a body that it has not read to the end.
        const answer = await sent.finally(() => Body.destroy());
        return hasMd5(answer, body.md5, capabilities)
          ? versionOf(answer)
          : await this.#readVersion(key, body.md5, deadline);
      });
    } catch (error) {
      if (!isPreconditionFailed(error)) throw storeError(error);
      // An earlier attempt may have succeeded although its response was lost.
      const existing = await this.head(key);
      return existing?.mark === mark ? existing.version : undefined;
    }
  }

  /**
   * Reads an object of ours whose ETag is not the MD5 of the bytes that were sent, and deletes it unless the bytes are right.
   *
   * @returns its version
   * @throws ServiceError `unavailable` if the store has other bytes, or another ETag for them, or does not return them in time
   */
  async #readVersion(key: string, md5: string, deadline: AbortSignal): Promise<string> {
    const opened = await this.get(key, { signal: deadline });
    const hash = createHash('md5');
    try {
      for await (const chunk of opened === undefined ? [] : withIdleTimeout(opened.body, this.timeouts)) {
        deadline.throwIfAborted();
        hash.update(chunk);
      }
    } catch (error) {
      // Not to be tried again: another PUT would find the object, and take its ETag for the version.
      throw storeError(error);
    }
    if (opened?.version === md5 && hash.digest('hex') === md5) return md5;
    await this.delete([key]);
    throw otherBytes(`The MD5 of ${key} is ${md5}`, opened?.answer ?? {});
  }

  async head(key: string): Promise<ObjectState | undefined> {
    try {
      const answer = await this.connection.reader.send(new HeadObjectCommand(this.target(key)));
      return { sizeBytes: answer.ContentLength ?? 0, version: versionOf(answer), mark: answer.Metadata?.[MARK] };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw storeError(error);
    }
  }

  /** Sends a GET and returns its unread body. @throws BlobChanged, BlobDamaged if it is not that of the range */
  async get(
    key: string,
    options: {
      range?: { start: number; end: number | undefined } | undefined;
      version?: string | null | undefined;
      signal?: AbortSignal | undefined;
    } = {},
  ): Promise<OpenObject | undefined> {
    const { range, version, signal } = options;
    const command = new GetObjectCommand({
      ...this.target(key),
      ...(range && { Range: `bytes=${range.start}-${range.end === undefined ? '' : range.end - 1}` }),
      ...(version && { IfMatch: `"${version}"` }),
    });
    try {
      const answer = await this.connection.reader.send(command, signal === undefined ? {} : { abortSignal: signal });
      const body = answer.Body as Readable;
      const found = versionOf(answer);
      const isOtherVersion = version && found !== version;
      // A server may ignore a range (RFC 9110, 14.2).
      const isOtherRange = range && range.start > 0 && !answer.ContentRange?.startsWith(`bytes ${range.start}-`);
      if (isOtherVersion || isOtherRange) body.destroy();
      if (isOtherVersion) throw new BlobChanged(key);
      if (isOtherRange) throw new BlobDamaged(key, `returned other bytes than those from ${range.start}`);
      return { body, version: found, answer };
    } catch (error) {
      signal?.throwIfAborted();
      if (isMissing(error)) return undefined;
      if (isPreconditionFailed(error)) throw new BlobChanged(key);
      if (isRefusedRead(error)) throw new BlobDamaged(key, `does not return it (${error.message})`, { cause: error });
      throw storeError(error);
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (let i = 0; i < keys.length; i += MAX_KEYS_PER_DELETE) {
      const chunk = keys.slice(i, i + MAX_KEYS_PER_DELETE);
      const Objects = chunk.map((key) => ({ Key: this.target(key).Key }));
      const command = new DeleteObjectsCommand({ Bucket: this.location.bucket, Delete: { Objects, Quiet: true } });
      const { Errors = [] } = await this.connection.reader.send(command).catch((error) => {
        throw storeError(error);
      });
      const failed = Errors.find(({ Code }) => Code !== 'NoSuchKey');
      if (failed === undefined) continue;
      const message = `${Errors.length} of ${chunk.length} objects could not be deleted: ${failed.Key}: ${failed.Code}`;
      throw new ServiceError('unavailable', 'The file store could not delete a file.', { cause: new Error(message) });
    }
  }

  /** Lists up to 1000 objects with this prefix and keys after `after`, ordered by key; one request. */
  async list(keyPrefix: string, after?: string): Promise<ObjectPage> {
    const { Bucket, Key: Prefix } = this.target(keyPrefix);
    const command = new ListObjectsV2Command({ Bucket, Prefix, ...(after && { StartAfter: this.target(after).Key }) });
    const answer = await this.connection.reader.send(command).catch((error) => {
      throw storeError(error);
    });
    const ours = this.target('').Key.length;
    const objects = (answer.Contents ?? []).map((object) => ({
      key: (object.Key ?? '').slice(ours),
      sizeBytes: object.Size ?? 0,
      version: versionOf(object),
      lastModified: object.LastModified ?? new Date(0),
    }));
    return { objects, next: answer.IsTruncated ? objects.at(-1)?.key : undefined };
  }

  /** Finds which of these keys of one dataset exist, with listings: one request for up to 1000 keys. */
  async find(keys: readonly string[]): Promise<Map<string, FoundBlob>> {
    const wanted = new Set(keys);
    const found = new Map<string, FoundBlob>();
    const [first, ...others] = keys.toSorted();
    if (first === undefined) return found;
    const last = others.at(-1) ?? first;
    // The key without its last character sorts before the first key.
    for (let after: string | undefined = first.slice(0, -1); after !== undefined && after < last; ) {
      const { objects, next } = await this.list(first.slice(0, first.indexOf('/') + 1), after);
      for (const { key, sizeBytes, version } of objects) if (wanted.has(key)) found.set(key, { sizeBytes, version });
      after = next;
    }
    return found;
  }

  async ping(): Promise<void> {
    const command = new HeadBucketCommand({ Bucket: this.location.bucket });
    const ask = (abortSignal: AbortSignal) => this.connection.reader.send(command, { abortSignal });
    await withTimeout(PING_TIMEOUT_MS, ask).catch((error) => {
      throw storeError(error);
    });
  }

  /** Retries requests that the SDK does not retry, because it can't open their body again. */
  #withRetries<T>(sizeBytes: number, work: (deadline: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline(totalMsOf(this.timeouts, sizeBytes), async (deadline) => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await work(deadline);
        } catch (error) {
          deadline.throwIfAborted();
          if (!isTransient(error) || attempt >= this.timeouts.attempts) throw error;
          await wait(100 * 4 ** attempt);
        }
      }
    });
  }
}

/** An ETag without quotes, which some stores omit. */
export function versionOf({ ETag = '' }: { ETag?: string | undefined }): string {
  return ETag.replace(/^"|"$/g, '');
}

/** False if an ETag that should be the MD5 of the bytes is not. */
export function hasMd5(answer: TaggedAnswer, md5: string, capabilities: StoreCapabilities): boolean {
  const { tagsAreMd5, encryption } = capabilities;
  const isComparable = answer.ServerSideEncryption === encryption && answer.SSECustomerAlgorithm === undefined;
  const tag = versionOf(answer);
  // That of an object in parts ends in their number.
  return !tagsAreMd5 || !isComparable || tag.includes('-') || tag === md5;
}

/** The answer to a client if the store has not stored what it was sent. */
export function otherBytes(expectation: string, { ETag }: TaggedAnswer): ServiceError {
  return new ServiceError('unavailable', 'The file store has stored other bytes than it was sent. Try again.', {
    cause: new Error(`${expectation}, and its ETag ${ETag}.`),
  });
}
