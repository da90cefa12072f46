import { Readable } from 'node:stream';
import {
  type BlobInventory,
  type BlobStore,
  type FetchedBlob,
  type FetchOptions,
  type FoundBlob,
  type MeasuredBlob,
  type Presigning,
  parseBlobName,
  type ReadOptions,
  type StagedBlob,
  type StagedObject,
  type StageOptions,
  type Staging,
  type StoredObject,
} from '../blobs.js';
import { measure } from '../ingest.js';
import { S3Bucket } from './bucket.js';
import { connect, MAX_SLOW_READS, type S3Credentials, TIMEOUTS, type Timeouts } from './connection.js';
import { startError } from './errors.js';
import type { S3Location } from './location.js';
import { linkSigner, STAGING_PREFIX } from './presigning.js';
import { probe } from './probe.js';
import { Spool } from './spool.js';

/** The largest object of one PUT or copy: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const MAX_PUT_BYTES = 5 * 1024 ** 3;

/** The maximum size of the spool. A direct upload fits into the half of an account. */
const SPOOL_BYTES = 8 * 1024 ** 3;

/** Writes to the operator's log. */
export type Log = (level: 'info' | 'warn', facts: object, message: string) => void;

/**
 * Stores blobs as objects of an S3 bucket. A bounded spool on this machine holds each file while it is received or inspected. One of
 * two concurrent commits to a key wins.
 */
export class S3Blobs implements BlobStore {
  readonly maxSlowReads = MAX_SLOW_READS;
  readonly maxFileBytes: number;
  readonly presigning?: Presigning;
  readonly staging: Staging;
  readonly #bucket: S3Bucket;
  readonly #spool: Spool;

  private constructor(bucket: S3Bucket, spool: Spool, presigning: Presigning | undefined) {
    this.#bucket = bucket;
    this.#spool = spool;
    this.maxFileBytes = Math.min(spool.maxFileBytes, MAX_PUT_BYTES);
    if (presigning !== undefined) this.presigning = presigning;
    this.staging = {
      list: (datasetId) => this.#listStaged(datasetId),
      receive: (key, options) => this.#receiveStaged(key, options),
      delete: (keys) => bucket.delete(keys.map(stagingKeyOf)),
    };
  }

  /**
   * Opens the spool, and checks that the bucket can be used. It presigns links only if their holders can do nothing with them but
   * upload a file.
   *
   * @param options.linkCredentials sign the presigned links, by default those of the service
   * @throws BackendUnusable
   */
  static async open(
    location: S3Location,
    options: {
      spoolFolder: string;
      spoolBytes?: number;
      log: Log;
      linkCredentials?: S3Credentials | undefined;
      timeouts?: Timeouts;
    },
  ): Promise<S3Blobs> {
    const timeouts = options.timeouts ?? TIMEOUTS;
    const connection = await connect(location, timeouts, options.linkCredentials);
    try {
      const bucket = new S3Bucket(connection, location, timeouts);
      const hasLinkUser = options.linkCredentials !== undefined;
      const reasons = await probe(bucket, { isPresigned: location.isPresigned, hasLinkUser });
      const isPresigned = location.isPresigned && reasons.length === 0;
      options.log('info', { bucket: location.bucket, prefix: location.prefix, isPresigned }, 'the bucket can be used');
      if (reasons.length > 0) options.log('warn', { reasons }, whyNotPresigned(reasons, { hasLinkUser }));
      const { origin, sign } = await linkSigner(bucket, connection.signer);
      const presign: Presigning['presign'] = (key, terms) => sign(stagingKeyOf(key), terms);
      const spool = await Spool.open(options.spoolFolder, options.spoolBytes ?? SPOOL_BYTES);
      return new S3Blobs(bucket, spool, isPresigned ? { origin, presign } : undefined);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  async stage(body: Readable, options: StageOptions): Promise<StagedBlob> {
    const { key, limit, atMostBytes = limit.bytes, signal } = options;
    const file = await this.#spool.receive(body, { ...options, atMostBytes: Math.min(atMostBytes, limit.bytes) });
    const { path, sizeBytes, sha256, remove } = file;
    const commit = async () => {
      try {
        return { version: await this.#bucket.create(key, file, signal) };
      } finally {
        await remove();
      }
    };
    return { sizeBytes, sha256, content: { path }, commit, discard: remove };
  }

  async read(key: string, options: ReadOptions = {}): Promise<Readable | undefined> {
    return (await this.#bucket.read(key, options))?.body;
  }

  async fetch(key: string, options: FetchOptions): Promise<(FetchedBlob & { version: string }) | undefined> {
    const { limit } = options;
    const bucket = this.#bucket;
    let version: string | undefined;
    // The request is sent once the spool has space: the store closes a connection if its body is not read.
    async function* bytes(): AsyncGenerator<Buffer> {
      const opened = await bucket.read(key, options);
      version = opened?.version;
      if (opened !== undefined) yield* opened.body;
    }
    const body = Readable.from(bytes(), { objectMode: false });
    const file = await this.#spool.receive(body, { ...options, atMostBytes: limit.bytes });
    const { path, sizeBytes, sha256, remove: discard } = file;
    if (version !== undefined) return { sizeBytes, sha256, content: { path }, version, discard };
    await discard();
    return undefined;
  }

  async *#listStaged(datasetId?: string): AsyncGenerator<readonly StagedObject[]> {
    for await (const page of this.#bucket.list(stagingKeyOf(datasetId === undefined ? '' : `${datasetId}/`))) {
      yield page.map(({ key, changedAt }) => ({ key: key.slice(STAGING_PREFIX.length), changedAt }));
    }
  }

  async #receiveStaged(key: string, options: FetchOptions): Promise<StagedBlob | undefined> {
    const from = stagingKeyOf(key);
    const fetched = await this.fetch(from, options);
    if (fetched === undefined) return undefined;
    const { version, ...blob } = fetched;
    const commit = async () => {
      try {
        return { version: await this.#bucket.copy(from, key, version) };
      } finally {
        await blob.discard();
      }
    };
    return { ...blob, commit };
  }

  find(keys: readonly string[]): Promise<Map<string, FoundBlob>> {
    return this.#bucket.find(keys);
  }

  delete(keys: readonly string[]): Promise<void> {
    return this.#bucket.delete(keys);
  }

  ping(): Promise<void> {
    return this.#bucket.ping();
  }

  abort(): void {
    this.#bucket.connection.abort();
  }

  async close(): Promise<void> {
    await this.#spool.close();
    this.#bucket.connection.close();
  }
}

/** Everything under the prefix of a bucket. */
export class S3Inventory implements BlobInventory {
  readonly #bucket: S3Bucket;

  private constructor(bucket: S3Bucket) {
    this.#bucket = bucket;
  }

  /** @throws BackendUnusable */
  static async open(location: S3Location): Promise<S3Inventory> {
    const connection = await connect(location, TIMEOUTS);
    const bucket = new S3Bucket(connection, location, TIMEOUTS);
    await bucket
      .list('')
      .next()
      .catch((error) => {
        connection.close();
        throw startError(error, location, 's3:ListBucket');
      });
    return new S3Inventory(bucket);
  }

  async fetch(key: string, options: FetchOptions): Promise<MeasuredBlob | undefined> {
    const opened = await this.#bucket.read(key, options);
    if (opened === undefined) return undefined;
    return { ...(await measure(opened.body, options)), version: opened.version, discard: async () => {} };
  }

  async *objects(): AsyncGenerator<readonly StoredObject[]> {
    for await (const page of this.#bucket.list('')) {
      yield page.map(({ key, sizeBytes, changedAt }) => ({ name: key, ...namesIn(key), sizeBytes, changedAt }));
    }
  }

  async has({ name, sizeBytes }: StoredObject): Promise<boolean> {
    return (await this.#bucket.find([name])).get(name)?.sizeBytes === sizeBytes;
  }

  remove({ name }: StoredObject): Promise<void> {
    return this.#bucket.delete([name]);
  }

  async close(): Promise<void> {
    this.#bucket.connection.close();
  }
}

function namesIn(key: string): Pick<StoredObject, 'kind' | 'fileId' | 'datasetId'> {
  const isStaged = key.startsWith(STAGING_PREFIX);
  const [datasetId = '', name = '', ...rest] = (isStaged ? key.slice(STAGING_PREFIX.length) : key).split('/');
  const isOurs = /^[0-9a-f]{32}$/.test(datasetId) && rest.length === 0;
  const parsed = isOurs ? parseBlobName(name) : undefined;
  return parsed === undefined ? { kind: isStaged ? 'temporary' : 'foreign' } : { ...parsed, datasetId };
}

function stagingKeyOf(key: string): string {
  return `${STAGING_PREFIX}${key}`;
}

/** Tells the operator why uploads pass through the service, and what to do. */
function whyNotPresigned(reasons: readonly string[], { hasLinkUser }: { hasLinkUser: boolean }): string {
  const advice = hasLinkUser
    ? 'Correct the policy of the user of TRAINYARD_PRESIGN_ACCESS_KEY_ID: docs/scaling.md has one.'
    : 'Let another user sign the links, with TRAINYARD_PRESIGN_ACCESS_KEY_ID: docs/scaling.md has its policy.';
  return `uploads through links pass through the service, since ${reasons.join(', and ')}. ${advice}`;
}
