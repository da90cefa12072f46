import { setMaxListeners } from 'node:events';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import {
  type BlobContent,
  BlobDamaged,
  type BlobStore,
  type ByteLimit,
  type FetchedBlob,
  type FetchOptions,
  type FoundBlob,
  type ObjectPage,
  type Presigning,
  type ReadOptions,
  type StagedBlob,
  type StageOptions,
} from '../blobs.js';
import { alreadyExists, Md5Meter, measure } from '../ingest.js';
import { connect, MAX_SLOW_READS, type S3Credentials } from './connection/connection.js';
import type { S3Location } from './connection/location.js';
import { TIMEOUTS, type Timeouts } from './connection/timeouts.js';
import { storeError } from './errors.js';
import { findObjects, listObjects } from './listings.js';
import { abortAbandoned, type OpenUploadIds, uploadInParts } from './multipart.js';
import { PartMemory } from './part-memory.js';
import { presigningOf } from './presigning.js';
import { probe } from './probe.js';
import { dangersOfLinks } from './probe-links.js';
import { resumingBody } from './read-object.js';
import { hasMd5, type OpenObject, S3Bucket, type StoreCapabilities } from './s3-bucket.js';
import { Spool, type SpoolFile } from './spool.js';

const MIB = 1024 * 1024;

/** A larger file is uploaded in parts. Direct uploads are smaller: parts may replace an object, one PUT never does. */
const MAX_PUT_BYTES = 160 * MIB;

/** Memory for parts of spooled files and of request bodies, separate so that slow clients don't block spooled files. */
const FILE_PARTS_BYTES = 48 * MIB;
const BODY_PARTS_BYTES = 64 * MIB;

const ABORT_INTERVAL_MS = 6 * 60 * 60 * 1000;

/** Writes to the operator's log. */
export type Log = (level: 'info' | 'warn', facts: object, message: string) => void;

/**
 * Stores blobs as objects of an S3 bucket. A bounded spool on this machine holds each file while it is received or
 * inspected. A file of more than half of the spool is streamed into a multipart upload, and inspected in the bucket.
 *
 * If the store honours `If-None-Match` on PUT, one of two concurrent commits to a key wins. On other stores, and with parts
 * on most stores, both may succeed and the later one stays; reads of the earlier version then throw `BlobChanged`.
 */
export class S3Blobs implements BlobStore {
  readonly maxSlowReads = MAX_SLOW_READS;
  readonly presigning?: Presigning;
  /** As detected when the store was opened. */
  readonly capabilities: StoreCapabilities;
  readonly #bucket: S3Bucket;
  readonly #spool: Spool;
  readonly #openUploads: OpenUploadIds = new Set();
  readonly #filePartsMemory = new PartMemory(FILE_PARTS_BYTES);
  /** An account has half of it at most, since its clients may be slow. */
  readonly #bodyPartsMemory = new PartMemory(BODY_PARTS_BYTES, BODY_PARTS_BYTES / 2);
  readonly #closing = new AbortController();

  private constructor(options: {
    bucket: S3Bucket;
    spool: Spool;
    presigning: Presigning | undefined;
    capabilities: StoreCapabilities;
  }) {
    this.#bucket = options.bucket;
    this.#spool = options.spool;
    if (options.presigning !== undefined) this.presigning = options.presigning;
    this.capabilities = options.capabilities;
    // Every upload adds a listener.
    setMaxListeners(0, this.#closing.signal);
  }

  /**
   * Opens the spool, checks that the bucket can be used, and detects the capabilities of the store. It presigns links only if
   * their holders can do nothing with them but upload a file.
   *
   * @param options.linkCredentials sign the presigned links, by default those of the service
   * @throws BackendUnusable
   */
  static async open(
    location: S3Location,
    options: {
      spoolFolder: string;
      spoolBytes: number;
      log: Log;
      linkCredentials?: S3Credentials | undefined;
      timeouts?: Timeouts;
    },
  ): Promise<S3Blobs> {
    const timeouts = options.timeouts ?? TIMEOUTS;
    const connection = await connect(location, timeouts, options.linkCredentials);
    try {
      const bucket = new S3Bucket(connection, location, timeouts);
      const capabilities = await probe(bucket);
      const hasLinkUser = options.linkCredentials !== undefined;
      const dangers = location.isPresigned ? await dangersOfLinks(bucket, { hasLinkUser }) : [];
      const isPresigned = location.isPresigned && dangers.length === 0;
      const presigning = isPresigned ? await presigningOf(bucket, connection.signer) : undefined;
      const facts = { bucket: location.bucket, prefix: location.prefix, isPresigned, ...capabilities };
      options.log('info', facts, 'the bucket can be used');
      if (dangers.length > 0) options.log('warn', { dangers }, whyNotPresigned(dangers, { hasLinkUser }));
      const spool = await Spool.open(options.spoolFolder, options.spoolBytes);
      const blobs = new S3Blobs({ bucket, spool, presigning, capabilities });
      blobs.#abortAbandonedPeriodically(options.log);
      return blobs;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  async stage(body: Readable, options: StageOptions): Promise<StagedBlob> {
    const atMostBytes = Math.min(options.atMostBytes ?? options.limit.bytes, options.limit.bytes);
    if (atMostBytes > this.#spool.maxFileBytes) return this.#stageInStore(body, { ...options, atMostBytes });
    const file = await this.#spool.receive(body, { ...options, atMostBytes });
    const { path, sizeBytes, sha256 } = file;
    const commit = async () => {
      try {
        const version = await this.#upload(options, file);
        if (version === undefined) throw alreadyExists();
        return { version };
      } finally {
        await file.remove();
      }
    };
    return { sizeBytes, sha256, content: { path }, commit, discard: () => file.remove() };
  }

  async #upload(
    { key, accountId }: Pick<StageOptions, 'key' | 'accountId'>,
    file: SpoolFile,
  ): Promise<string | undefined> {
    const { path, sizeBytes, sha256 } = file;
    if (sizeBytes <= MAX_PUT_BYTES) {
      return this.#bucket.put(key, { ...file, open: () => createReadStream(path) }, this.capabilities);
    }
    const { version } = await uploadInParts(this.#bucket, key, createReadStream(path, { highWaterMark: MIB }), {
      limit: { bytes: sizeBytes, message: '' },
      atMostBytes: sizeBytes,
      sha256,
      memory: this.#filePartsMemory,
      capabilities: this.capabilities,
      openUploads: this.#openUploads,
      accountId,
      signal: this.#closing.signal,
    });
    return version;
  }

  /** Creates the object before it is inspected, since parts can't be read. The catalog does not reference it yet. */
  async #stageInStore(body: Readable, options: StageOptions & { atMostBytes: number }): Promise<StagedBlob> {
    const { key } = options;
    body.on('error', () => {});
    const { version, ...facts } = await uploadInParts(this.#bucket, key, body, {
      ...options,
      memory: this.#bodyPartsMemory,
      capabilities: this.capabilities,
      openUploads: this.#openUploads,
    });
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

  async fetch(key: string, options: FetchOptions): Promise<FetchedBlob | undefined> {
    const isDamaged = (error: unknown) => error instanceof BlobDamaged;
    return this.#fetchOnce(key, options).catch((error) => {
      if (!isDamaged(error)) throw error;
      return this.#fetchOnce(key, options);
    });
  }

  async #fetchOnce(key: string, options: FetchOptions): Promise<FetchedBlob | undefined> {
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
        : await measureOnly(body, { limit, signal });
    const { path, sizeBytes, sha256, remove: discard } = file;
    if (opened === undefined) {
      await discard();
      return undefined;
    }
    const { version, answer } = opened as OpenObject;
    const announced = options.sizeBytes ?? sizeBytes;
    if (sizeBytes !== announced || !hasMd5(answer, file.md5, this.capabilities)) {
      await discard();
      const found =
        sizeBytes === announced ? `other bytes than those of its checksum` : `${sizeBytes} of ${announced} bytes`;
      throw new BlobDamaged(key, `returned ${found}`);
    }
    const content = path === undefined ? this.#contentInStore(key, version) : { path };
    return { sizeBytes, sha256, content, version, discard };
  }

  find(keys: readonly string[]): Promise<Map<string, FoundBlob>> {
    return findObjects(this.#bucket, keys);
  }

  listObjects(datasetId: string, { after }: { after?: string | undefined } = {}): Promise<ObjectPage> {
    return listObjects(this.#bucket, `${datasetId}/`, after);
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
    this.#closing.abort();
    await this.#spool.close();
    this.#bucket.connection.close();
  }

  /** Aborts abandoned multipart uploads now and every six hours. */
  #abortAbandonedPeriodically(log: Log): void {
    const abort = () =>
      abortAbandoned(this.#bucket, this.#openUploads, Date.now).catch((error) => {
        if (this.#closing.signal.aborted) return;
        log('warn', { err: storeError(error) }, 'could not abort abandoned multipart uploads');
      });
    const timer = setInterval(abort, ABORT_INTERVAL_MS);
    timer.unref();
    this.#closing.signal.addEventListener('abort', () => clearInterval(timer), { once: true });
    void abort();
  }
}

/** Reads a body that is too large for the spool. */
async function measureOnly(body: Readable, { limit, signal }: { limit: ByteLimit; signal: AbortSignal }) {
  const meter = new Md5Meter(limit);
  const facts = await measure(body, { limit, signal, meter });
  return { ...facts, md5: meter.md5(), path: undefined, remove: async () => {} };
}

/** Tells the operator why uploads pass through the service, and what to do. */
function whyNotPresigned(dangers: readonly string[], { hasLinkUser }: { hasLinkUser: boolean }): string {
  const advice = hasLinkUser
    ? 'Correct the policy of the user of TRAINYARD_PRESIGN_ACCESS_KEY_ID: docs/scaling.md has one.'
    : 'Let another user sign the links, with TRAINYARD_PRESIGN_ACCESS_KEY_ID: docs/scaling.md has its policy.';
  const reason = `with a presigned link, a client could ${dangers.join(' and ')}`;
  return `uploads through links pass through the service, since ${reason}. ${advice}`;
}
