import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { addAbortSignal, Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import {
  CopyObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  paginateListObjectsV2,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { withAnySignal, withTimeout } from '../../../abort-signals.js';
import {
  alreadyExists,
  BlobChanged,
  BlobDamaged,
  type BlobReader,
  BlobsNotDeleted,
  type FoundBlob,
  type MeasuredBlob,
  parseBlobName,
  type ReadOptions,
  type StoredObject,
} from '../blobs.js';
import {
  connect,
  type Connection,
  isMissing,
  isPreconditionFailed,
  isRefusedRead,
  isTransient,
  notOfStore,
  startError,
  storeError,
  TIMEOUTS,
} from './connection.js';
import type { S3Location } from './location.js';

/** The prefix of objects that links lead to or that are deleted by their age. No id of a dataset begins so. */
export const STAGING_PREFIX = '.staging/';

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html */
const MAX_KEYS_PER_DELETE = 1000;

/** Shorter than the timeout of a load balancer's health check. */
const PING_TIMEOUT_MS = 5000;

/** A store may answer only when it has copied the object, which may take minutes. */
const COPY_TIMEOUT_MS = 300_000;

/** The metadata key of a random mark, by which an upload recognizes its object after a lost response. */
const MARK = 'trainyard-upload';

interface OpenObject {
  readonly body: Readable;
  readonly version: string;
}

export interface ListedObject extends FoundBlob {
  readonly key: string;
  readonly version: string;
  /** By the store's clock, in milliseconds since 1970. */
  readonly changedAt: number;
}

/** The objects of a bucket under a prefix. Each method throws what `storeError` returns. */
export class S3Bucket implements BlobReader {
  readonly connection: Connection;
  readonly location: S3Location;

  constructor(connection: Connection, location: S3Location) {
    this.connection = connection;
    this.location = location;
  }

  /** @throws BackendUnusable if its objects can't be listed */
  static async openBeside(location: S3Location): Promise<BlobReader> {
    const connection = await connect(location, TIMEOUTS);
    const bucket = new S3Bucket(connection, location);
    await bucket
      .list('')
      .next()
      .catch((error) => {
        connection.close();
        throw startError(error, location, 's3:ListBucket');
      });
    return bucket;
  }

  target(key: string): { Bucket: string; Key: string } {
    const { bucket, prefix } = this.location;
    return { Bucket: bucket, Key: prefix === '' ? key : `${prefix}/${key}` };
  }

  nameOf(key = ''): string {
    return key.slice(this.target('').Key.length);
  }

  newObject(mark: string) {
    const { encryption } = this.location;
    return {
      Metadata: { [MARK]: mark },
      ...(encryption && { ServerSideEncryption: encryption.algorithm }),
      ...(encryption?.kmsKey !== undefined && { SSEKMSKeyId: encryption.kmsKey }),
    };
  }

  /**
   * Creates an object whose SHA-256 is signed, so that the store rejects other bytes.
   *
   * @returns its version
   * @throws ServiceError `upload_finalized` if the key exists; the signal's reason
   */
  async create(key: string, { path, sizeBytes, sha256 }: MeasuredBlob, signal: AbortSignal): Promise<string> {
    const mark = randomUUID();
    for (let attempt = 1; ; attempt++) {
      const Body = createReadStream(path);
      const unreadable = new AbortController();
      // The SDK does not listen; unheard, the error would end the process.
      Body.once('error', (error) => unreadable.abort(error));
      const condition = { IfNoneMatch: '*' };
      const input = { ...this.target(key), ...this.newObject(mark), ...condition, Body, ContentLength: sizeBytes };
      const command = new PutObjectCommand(input);
      const sign = (next: (args: never) => unknown) => (args: { request: { headers: Record<string, string> } }) => {
        args.request.headers['x-amz-content-sha256'] = sha256;
        return next(args as never);
      };
      command.middlewareStack.add(sign as never, { step: 'build', name: 'signSha256' });
      try {
        const send = (abortSignal: AbortSignal) => this.connection.client.send(command, { abortSignal });
        return versionOf(await withAnySignal([signal, unreadable.signal], send));
      } catch (error) {
        signal.throwIfAborted();
        unreadable.signal.throwIfAborted();
        // The SDK does not retry a request whose body is a stream.
        if (!isTransient(error) || attempt >= this.connection.timeouts.attempts)
          return this.#ownVersion(key, mark, error);
        await pauseBefore(attempt, signal);
      } finally {
        Body.destroy();
      }
    }
  }

  /** The version of the object if an earlier attempt created it, and its answer was lost. */
  async #ownVersion(key: string, mark: string, error: unknown): Promise<string> {
    if (!isPreconditionFailed(error)) throw storeError(error);
    const existing = await this.connection.client.send(new HeadObjectCommand(this.target(key))).catch(throwStoreError);
    if (existing.Metadata?.[MARK] !== mark) throw alreadyExists();
    return versionOf(existing);
  }

  async read(key: string, options?: ReadOptions): Promise<Readable | undefined> {
    return (await this.open(key, options))?.body;
  }

  /** Sends a GET. Its body requests the rest of the same version if the store stops sending. @throws as `read` */
  async open(key: string, options: ReadOptions = {}): Promise<OpenObject | undefined> {
    const opened = await this.#get(key, options);
    if (opened === undefined) return undefined;
    const body = Readable.from(this.#bytesOf(key, opened, options), { objectMode: false });
    // A reader that stops before the first byte would leave the connection open.
    body.once('close', () => opened.body.destroy());
    return { body, version: opened.version };
  }

  async *#bytesOf(key: string, opened: OpenObject, { range, signal }: ReadOptions): AsyncGenerator<Buffer> {
    const { version } = opened;
    let { body } = opened;
    let start = range?.start ?? 0;
    for (let attempt = 1; ; attempt++) {
      try {
        for await (const chunk of withIdleTimeout(body, this.connection.timeouts.idleMs)) {
          start += chunk.length;
          // The receiver has announced the length, and would read the rest as another answer.
          if (range !== undefined && start > range.end) throw new BlobDamaged(key, 'returned too many bytes');
          attempt = 1;
          yield chunk;
        }
        const missingBytes = range === undefined ? 0 : range.end - start;
        if (missingBytes > 0) throw new BlobDamaged(key, `returned ${missingBytes} bytes too few`);
        return;
      } catch (error) {
        signal?.throwIfAborted();
        if (!isTransient(error) || attempt >= this.connection.timeouts.attempts) throw storeError(error);
        await pauseBefore(attempt, signal);
        const rest = await this.#get(key, { range: { start, end: range?.end }, version, signal });
        if (rest === undefined) throw storeError(error);
        body = rest.body;
      }
    }
  }

  async #get(
    key: string,
    {
      range,
      version,
      signal,
    }: Omit<ReadOptions, 'range'> & { range?: { start: number; end: number | undefined } | undefined },
  ): Promise<OpenObject | undefined> {
    const command = new GetObjectCommand({
      ...this.target(key),
      ...(range && { Range: `bytes=${range.start}-${range.end === undefined ? '' : range.end - 1}` }),
      ...(version && { IfMatch: `"${version}"` }),
    });
    let body: Readable | undefined;
    try {
      const answer = await this.connection.patient.send(command, signal && { abortSignal: signal });
      body = answer.Body as Readable;
      // The signal of the request does nothing after the answer.
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

  /** Copies an object with this version, without its client's metadata. @returns the copy's version @throws BlobChanged */
  async copy(from: string, to: string, version: string): Promise<string> {
    const command = new CopyObjectCommand({
      ...this.target(to),
      ...this.newObject(randomUUID()),
      CopySource: copySourceOf(this.target(from)),
      CopySourceIfMatch: `"${version}"`,
      MetadataDirective: 'REPLACE',
    });
    try {
      const answer = await this.connection.patient.send(command, { requestTimeout: COPY_TIMEOUT_MS });
      return versionOf(answer.CopyObjectResult ?? {});
    } catch (error) {
      if (isMissing(error) || isPreconditionFailed(error)) throw new BlobChanged(from);
      throw storeError(error);
    }
  }

  /** Lists objects by key in pages of up to 1000, one request each. */
  async *list(keyPrefix: string, after?: string): AsyncGenerator<readonly ListedObject[]> {
    const { Bucket, Key: Prefix } = this.target(keyPrefix);
    const start = after === undefined ? {} : { StartAfter: this.target(after).Key };
    const pages = paginateListObjectsV2({ client: this.connection.client }, { Bucket, Prefix, ...start });
    try {
      for await (const { Contents = [], IsTruncated } of pages) {
        // A real store always says whether a page is the last one.
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

  /** Finds keys of one dataset with listings: one request for up to 1000 keys. */
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
      const { Errors = [] } = await this.connection.client.send(command).catch(throwStoreError);
      for (const { Key, Code = '' } of Errors) {
        if (Code !== 'NoSuchKey') kept.push({ key: this.nameOf(Key), reason: Code });
      }
    }
    if (kept.length > 0) throw new BlobsNotDeleted(kept);
  }

  async *objects(): AsyncGenerator<readonly StoredObject[]> {
    for await (const page of this.list('')) {
      yield page.map(({ key, sizeBytes, changedAt }) => ({ name: key, ...namesIn(key), sizeBytes, changedAt }));
    }
  }

  async has({ name, sizeBytes }: StoredObject): Promise<boolean> {
    return (await this.find([name])).get(name)?.sizeBytes === sizeBytes;
  }

  remove({ name }: StoredObject): Promise<void> {
    return this.delete([name]);
  }

  async ping(): Promise<void> {
    const command = new HeadBucketCommand({ Bucket: this.location.bucket });
    await withTimeout(PING_TIMEOUT_MS, (abortSignal) => this.connection.client.send(command, { abortSignal })).catch(
      throwStoreError,
    );
  }

  abort(): void {
    this.connection.abort();
  }

  async close(): Promise<void> {
    this.connection.close();
  }
}

function namesIn(key: string): Pick<StoredObject, 'kind' | 'fileId' | 'datasetId'> {
  const isStaged = key.startsWith(STAGING_PREFIX);
  const [datasetId = '', name = '', ...rest] = (isStaged ? key.slice(STAGING_PREFIX.length) : key).split('/');
  const isOurs = /^[0-9a-f]{32}$/.test(datasetId) && rest.length === 0;
  const parsed = isOurs ? parseBlobName(name) : undefined;
  return parsed === undefined ? { kind: isStaged ? 'temporary' : 'foreign' } : { ...parsed, datasetId };
}

function throwStoreError(error: unknown): never {
  throw storeError(error);
}

/** The value of `x-amz-copy-source`. */
export function copySourceOf({ Bucket, Key }: { Bucket: string; Key: string }): string {
  return [Bucket, ...Key.split('/')].map(encodeURIComponent).join('/');
}

/** An ETag without quotes, which some stores omit. @throws ServiceError `unavailable` without one, as from a proxy's login page */
function versionOf({ ETag = '' }: { ETag?: string | undefined }): string {
  const version = ETag.replace(/^"|"$/g, '');
  if (version === '') throw notOfStore('request for an object');
  return version;
}

async function pauseBefore(attempt: number, signal: AbortSignal | undefined): Promise<void> {
  await wait(100 * 4 ** attempt, undefined, signal && { signal });
}

/** Yields the chunks of a body, which fails when the sender, not the reader, is idle for too long. */
async function* withIdleTimeout(body: Readable, idleMs: number): AsyncGenerator<Buffer> {
  const chunks = body.iterator();
  try {
    for (;;) {
      const late = Object.assign(new Error(`no byte arrived for ${idleMs} ms`), { code: 'ETIMEDOUT' });
      const timer = setTimeout(() => body.destroy(late), idleMs);
      const next = await chunks.next().finally(() => clearTimeout(timer));
      if (next.done) return;
      yield next.value as Buffer;
    }
  } finally {
    body.destroy();
  }
}
