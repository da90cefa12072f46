import { randomUUID } from 'node:crypto';
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
import { BlobChanged, type FoundBlob, type PresignedObject } from '../blobs.js';
import type { Connection, Timeouts } from './connection.js';
import { isMissing, isPreconditionFailed, isTransient, storeError } from './errors.js';
import type { S3Location } from './location.js';

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html */
const MAX_KEYS_PER_DELETE = 1000;

/** Shorter than the timeout of a load balancer's health check. */
const PING_TIMEOUT_MS = 5000;

/** The metadata key of a random mark. By its mark, an upload recognizes its own object after a lost response. */
const MARK = 'trainyard-upload';

/** The capabilities of a store, as detected by `probe`. */
export interface StoreCapabilities {
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
    body: { open: () => Readable; sizeBytes: number; sha256: string },
    { keepsFirst }: { keepsFirst: boolean },
  ): Promise<string | undefined> {
    if (!keepsFirst && (await this.head(key)) !== undefined) return undefined;
    const mark = randomUUID();
    try {
      return await this.#withRetries(async () => {
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
        const sent = this.connection.writer.send(withKnownHash(command, body.sha256), { abortSignal: failed.signal });
        // The SDK does not close a body that it has not read to the end.
        return versionOf(await sent.finally(() => Body.destroy()));
      });
    } catch (error) {
      if (!isPreconditionFailed(error)) throw storeError(error);
      // An earlier attempt may have succeeded although its response was lost.
      const existing = await this.head(key);
      return existing?.mark === mark ? existing.version : undefined;
    }
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

  /** Sends a GET and returns its unread body. @throws BlobChanged */
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
      if (version && found !== version) {
        body.destroy();
        throw new BlobChanged(key);
      }
      return { body, version: found };
    } catch (error) {
      signal?.throwIfAborted();
      if (isMissing(error)) return undefined;
      if (isPreconditionFailed(error)) throw new BlobChanged(key);
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
  async list(
    keyPrefix: string,
    after?: string,
  ): Promise<{ objects: readonly PresignedObject[]; next: string | undefined }> {
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
    await this.connection.reader.send(command, { abortSignal: AbortSignal.timeout(PING_TIMEOUT_MS) }).catch((error) => {
      throw storeError(error);
    });
  }

  /** Retries requests that the SDK does not retry, because it can't open their body again. */
  async #withRetries<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (!isTransient(error) || attempt >= this.timeouts.attempts) throw error;
        await wait(100 * 4 ** attempt);
      }
    }
  }
}

/** An ETag without quotes, which some stores omit. */
export function versionOf({ ETag = '' }: { ETag?: string | undefined }): string {
  return ETag.replace(/^"|"$/g, '');
}

/** Makes the signature cover the SHA-256 of the body, so that the store rejects a body with other bytes. */
export function withKnownHash(command: PutObjectCommand, sha256: string): PutObjectCommand {
  command.middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers['x-amz-content-sha256'] = sha256;
      return next(args);
    },
    { step: 'build', name: 'knownSha256' },
  );
  return command;
}
