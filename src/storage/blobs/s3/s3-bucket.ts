import { createHash, randomUUID } from 'node:crypto';
import { addAbortSignal, type Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { withAnySignal } from '../../../abort-signals.js';
import { ServiceError } from '../../../dataset/errors.js';
import { BlobChanged, BlobDamaged, BlobsNotDeleted } from '../blobs.js';
import { type Connection, withKnownHash } from './connection/connection.js';
import type { S3Location } from './connection/location.js';
import { type Timeouts, totalMsOf, withDeadline, withIdleTimeout } from './connection/timeouts.js';
import {
  isMissing,
  isPreconditionFailed,
  isRefusedRead,
  isTransient,
  notOfStore,
  statusOfError,
  storeError,
} from './errors.js';

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
  /** `undefined` if the answer has no length, which a proxy may leave out (RFC 9110, 8.6). */
  readonly sizeBytes: number | undefined;
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
        const sent = withAnySignal([failed.signal, deadline], (abortSignal) =>
          this.connection.writer.send(withKnownHash(command, body.sha256), { abortSignal }),
        );
        // The SDK does not close a body that it has not read to the end.
        const answer = await sent.finally(() => Body.destroy());
        return hasMd5(answer, body.md5, capabilities)
          ? taggedVersion(answer)
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
      return { sizeBytes: answer.ContentLength, version: taggedVersion(answer), mark: answer.Metadata?.[MARK] };
    } catch (error) {
      // Such an answer has no body that would name the reason.
      if (statusOfError(error) === 404) return undefined;
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
    let body: Readable | undefined;
    try {
      const answer = await this.connection.downloader.send(
        command,
        signal === undefined ? {} : { abortSignal: signal },
      );
      body = answer.Body as Readable;
      // The signal of the request does not fire once it is answered.
      if (signal !== undefined) addAbortSignal(signal, body);
      const found = taggedVersion(answer);
      if (version && found !== version) throw new BlobChanged(key);
      // A server may ignore a range (RFC 9110, 14.2).
      const isOtherRange = range && range.start > 0 && !answer.ContentRange?.startsWith(`bytes ${range.start}-`);
      if (isOtherRange) throw new BlobDamaged(key, `returned other bytes than those from ${range.start}`);
      return { body, version: found, answer };
    } catch (error) {
      body?.destroy();
      signal?.throwIfAborted();
      if (isMissing(error)) return undefined;
      if (isPreconditionFailed(error)) throw new BlobChanged(key);
      if (isRefusedRead(error)) throw new BlobDamaged(key, `does not return it (${error.message})`, { cause: error });
      throw storeError(error);
    }
  }

  /** @throws BlobsNotDeleted if the store keeps some of them */
  async delete(keys: readonly string[]): Promise<void> {
    const kept: { key: string; reason: string }[] = [];
    for (let i = 0; i < keys.length; i += MAX_KEYS_PER_DELETE) {
      const names = new Map(keys.slice(i, i + MAX_KEYS_PER_DELETE).map((key) => [this.target(key).Key, key]));
      const Objects = [...names.keys()].map((Key) => ({ Key }));
      const command = new DeleteObjectsCommand({ Bucket: this.location.bucket, Delete: { Objects, Quiet: true } });
      const { Errors = [] } = await this.connection.reader.send(command).catch((error) => {
        throw storeError(error);
      });
      for (const { Key = '', Code = '' } of Errors) {
        if (Code !== 'NoSuchKey') kept.push({ key: names.get(Key) ?? Key, reason: Code });
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

/** As `versionOf`. @throws ServiceError `unavailable` for an answer without one, such as the login page of a proxy */
export function taggedVersion(answer: TaggedAnswer): string {
  const version = versionOf(answer);
  if (version === '') throw notOfStore('request for an object');
  return version;
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
