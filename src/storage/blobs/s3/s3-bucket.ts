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

/** `ping` must answer a load balancer in time. */
const PING_MS = 5000;

/** Under which name an object says which upload of ours it came from, so that we know it again after a lost answer. */
const MARK = 'trainyard-upload';

/** What a store was seen to do; never assumed. */
export interface StoreCapabilities {
  /** PUT with `If-None-Match: *` never replaces an object. */
  readonly keepsFirst: boolean;
  /** GET with `If-Match` refuses other bytes than those. Where not, the answer's ETag is compared all the same. */
  readonly matchesVersions: boolean;
  /** A body that does not have the SHA-256 it was signed with is refused. */
  readonly checksBodies: boolean;
  /** A presigned PUT of another length than was signed is refused. */
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

/** The objects of a bucket under a prefix, one request at a time; every error is told as `storeError` puts it. */
export class S3Bucket {
  readonly connection: Connection;
  readonly location: S3Location;
  readonly timeouts: Timeouts;

  constructor(connection: Connection, location: S3Location, timeouts: Timeouts) {
    this.connection = connection;
    this.location = location;
    this.timeouts = timeouts;
  }

  /** Bucket and key as requests name them. */
  target(key: string): { Bucket: string; Key: string } {
    const { bucket, prefix } = this.location;
    return { Bucket: bucket, Key: prefix === '' ? key : `${prefix}/${key}` };
  }

  /** What every new object is to be stored with. */
  newObject(mark: string) {
    const { encryption } = this.location;
    return {
      Metadata: { [MARK]: mark },
      ...(encryption && { ServerSideEncryption: encryption.algorithm }),
      ...(encryption?.kmsKey !== undefined && { SSEKMSKeyId: encryption.kmsKey }),
    };
  }

  /**
   * One PUT of a body, which is made anew for each attempt.
   *
   * @returns its version; `undefined` where the key is taken, as far as the store tells
   */
  async put(
    key: string,
    body: { open: () => Readable; sizeBytes: number; sha256: string },
    { keepsFirst }: { keepsFirst: boolean },
  ): Promise<string | undefined> {
    if (!keepsFirst && (await this.head(key)) !== undefined) return undefined;
    const mark = randomUUID();
    try {
      return await this.#trying(async () => {
        const Body = body.open();
        const broken = new AbortController();
        Body.once('error', (error) => broken.abort(error));
        const command = new PutObjectCommand({
          ...this.target(key),
          ...this.newObject(mark),
          ...(keepsFirst && { IfNoneMatch: '*' }),
          Body,
          ContentLength: body.sizeBytes,
        });
        const sent = this.connection.writer.send(withKnownHash(command, body.sha256), { abortSignal: broken.signal });
        // The client does not close what it has not read to its end.
        return versionOf(await sent.finally(() => Body.destroy()));
      });
    } catch (error) {
      if (!isPreconditionFailed(error)) throw storeError(error);
      // An attempt before this one may have succeeded without our hearing of it.
      const there = await this.head(key);
      return there?.mark === mark ? there.version : undefined;
    }
  }

  async head(key: string): Promise<ObjectState | undefined> {
    try {
      const answer = await this.connection.reader.send(new HeadObjectCommand(this.target(key)));
      return {
        sizeBytes: answer.ContentLength ?? 0,
        version: versionOf(answer),
        mark: answer.Metadata?.[MARK],
      };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw storeError(error);
    }
  }

  /** The beginning of an answer; its body is raw. @throws BlobChanged */
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
      throw new ServiceError('unavailable', 'The store of files could not delete a file.', {
        cause: new Error(message),
      });
    }
  }

  /**
   * Objects whose keys begin with that, in the order of their keys, those behind the key `after`, up to a thousand at a time;
   * one request.
   */
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

  /** Which of these keys of one dataset there are: listed, so that a thousand cost no more than one. */
  async find(keys: readonly string[]): Promise<Map<string, FoundBlob>> {
    const wanted = new Set(keys);
    const found = new Map<string, FoundBlob>();
    const [first, ...others] = keys.toSorted();
    if (first === undefined) return found;
    const last = others.at(-1) ?? first;
    // Whatever is shorter than the first key comes before it.
    for (let after: string | undefined = first.slice(0, -1); after !== undefined && after < last; ) {
      const { objects, next } = await this.list(first.slice(0, first.indexOf('/') + 1), after);
      for (const { key, sizeBytes, version } of objects) if (wanted.has(key)) found.set(key, { sizeBytes, version });
      after = next;
    }
    return found;
  }

  async ping(): Promise<void> {
    const command = new HeadBucketCommand({ Bucket: this.location.bucket });
    await this.connection.reader.send(command, { abortSignal: AbortSignal.timeout(PING_MS) }).catch((error) => {
      throw storeError(error);
    });
  }

  /** Tries again what the SDK does not, since it can't know how to make a body anew. */
  async #trying<T>(work: () => Promise<T>): Promise<T> {
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

/** An ETag without its quotes, which not all stores write. */
export function versionOf({ ETag = '' }: { ETag?: string | undefined }): string {
  return ETag.replace(/^"|"$/g, '');
}

/** The signature then covers the hash of the body, and the store proves for us that it got these very bytes. */
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
