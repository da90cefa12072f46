import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { FairQueue } from '../../fair-queue.js';
import type {
  BlobContent,
  BlobStore,
  FetchedBlob,
  FetchOptions,
  FoundBlob,
  Presigning,
  ReadOptions,
  StagedBlob,
  StagedObject,
  StageOptions,
  Staging,
} from '../blobs.js';
import { alreadyExists, measure } from '../ingest.js';
import { type OpenObject, S3Bucket } from './bucket.js';
import { connect, MAX_SLOW_READS, type S3Credentials } from './connection.js';
import type { S3Location } from './location.js';
import { abortUpload, unfinishedUploads, writeObject } from './parts.js';
import { linkSigner, STAGING_PREFIX } from './presigning.js';
import { probe } from './probe.js';
import { resumingBody } from './read-object.js';
import { Spool } from './spool.js';
import { TIMEOUTS, type Timeouts } from './timeouts.js';

/** The largest object of one PUT or copy: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const MAX_PUT_BYTES = 5 * 1024 ** 3;

/** Memory for bytes on their way to the store. An account has half of it at most, since its clients may be slow. */
const MEMORY_BYTES = 96 * 1024 * 1024;

/** The maximum size of the spool. A direct upload fits into the half of an account. */
const SPOOL_BYTES = 8 * 1024 ** 3;

/** Writes to the operator's log. */
export type Log = (level: 'info' | 'warn', facts: object, message: string) => void;

/**
 * Stores blobs as objects of an S3 bucket. A bounded spool on this machine holds each file while it is received or
 * inspected. A file of more than half of the spool is streamed into a multipart upload, and inspected in the bucket.
 *
 * One of two concurrent commits to a key wins. With parts, both may succeed on stores that ignore `If-None-Match` there, and the
 * later one stays; reads of the earlier version then throw `BlobChanged`.
 */
export class S3Blobs implements BlobStore {
  readonly maxSlowReads = MAX_SLOW_READS;
  readonly presigning?: Presigning;
  readonly staging: Staging;
  readonly #bucket: S3Bucket;
  readonly #spool: Spool;
  readonly #memory = new FairQueue(MEMORY_BYTES, { maxUnitsOfKey: MEMORY_BYTES / 2 });

  private constructor(bucket: S3Bucket, spool: Spool, presigning: Presigning | undefined) {
    this.#bucket = bucket;
    this.#spool = spool;
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
      return new S3Blobs(bucket, spool, isPresigned ? { origin, maxBytes: MAX_PUT_BYTES, presign } : undefined);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  async stage(body: Readable, options: StageOptions): Promise<StagedBlob> {
    const atMostBytes = Math.min(options.atMostBytes ?? options.limit.bytes, options.limit.bytes);
    if (atMostBytes > this.#spool.maxFileBytes) return this.#stageInStore(body, { ...options, atMostBytes });
    const file = await this.#spool.receive(body, { ...options, atMostBytes });
    const { path, sizeBytes, sha256, remove } = file;
    const whole = { limit: { bytes: sizeBytes, message: '' }, atMostBytes: sizeBytes };
    const commit = () => this.#write(createReadStream(path), { ...options, ...whole }).finally(remove);
    return { sizeBytes, sha256, content: { path }, commit, discard: remove };
  }

  #write(body: Readable, options: StageOptions & { atMostBytes: number }) {
    const shared = { memory: this.#memory, maxBytesOfAccount: MEMORY_BYTES / 2 };
    return writeObject(this.#bucket, options.key, body, { ...options, ...shared });
  }

  /** Creates the object before it is inspected, since parts can't be read. The catalog does not reference it yet. */
  async #stageInStore(body: Readable, options: StageOptions & { atMostBytes: number }): Promise<StagedBlob> {
    const { key } = options;
    const { version, ...facts } = await this.#write(body, options);
    const isOurs = async () => (await this.#bucket.head(key))?.version === version;
    return {
      ...facts,
      content: this.#contentInStore(key, version),
      commit: async () => {
        if (!(await isOurs())) throw alreadyExists();
        return { version };
      },
      discard: async () => {
        if (await isOurs()) await this.#bucket.delete([key]);
      },
    };
  }

  #contentInStore(key: string, version: string): BlobContent {
    return {
      readAt: async (start, end, signal) => {
        const body = await this.read(key, { range: { start, end }, version, signal });
        if (body === undefined) throw new Error(`${key} was deleted while it was being inspected.`);
        return buffer(body);
      },
    };
  }

  async read(key: string, options: ReadOptions = {}): Promise<Readable | undefined> {
    const opened = await this.#bucket.get(key, options);
    if (opened === undefined) return undefined;
    const body = Readable.from(resumingBody(this.#bucket, key, { opened, ...options }), { objectMode: false });
    // A reader that stops before the first byte would leave the connection open.
    return body.once('close', () => opened.body.destroy());
  }

  async fetch(key: string, options: FetchOptions): Promise<(FetchedBlob & { version: string }) | undefined> {
    const { limit, accountId, signal } = options;
    // The request is sent once the spool has space: the store closes a connection if its body is not read.
    let opened: OpenObject | undefined;
    const bucket = this.#bucket;
    const body = Readable.from(
      (async function* () {
        opened = await bucket.get(key, options);
        if (opened !== undefined) yield* resumingBody(bucket, key, { opened, signal });
      })(),
      { objectMode: false },
    );
    const file =
      limit.bytes <= this.#spool.maxFileBytes
        ? await this.#spool.receive(body, { limit, atMostBytes: limit.bytes, accountId, signal })
        : { ...(await measure(body, { limit, signal })), path: undefined, remove: async () => {} };
    const { path, sizeBytes, sha256, remove: discard } = file;
    if (opened === undefined) {
      await discard();
      return undefined;
    }
    const { version } = opened as OpenObject;
    const content = path === undefined ? this.#contentInStore(key, version) : { path };
    return { sizeBytes, sha256, content, version, discard };
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

  async abortUnfinished(before: number): Promise<void> {
    for await (const page of unfinishedUploads(this.#bucket)) {
      for (const upload of page) if (upload.begunAt < before) await abortUpload(this.#bucket, upload);
    }
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
