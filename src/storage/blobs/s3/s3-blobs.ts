import { setMaxListeners } from 'node:events';
import { createReadStream } from 'node:fs';
import { Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type {
  BlobContent,
  BlobStore,
  ByteLimit,
  FetchedBlob,
  FoundBlob,
  Presigning,
  StagedBlob,
  StageOptions,
} from '../blobs.js';
import { Meter } from '../ingest.js';
import { connect, TIMEOUTS, type Timeouts } from './connection.js';
import { storeError } from './errors.js';
import type { S3Location } from './location.js';
import { abortAbandoned, alreadyExists, type OpenUploadIds, uploadFileInParts, uploadInParts } from './multipart.js';
import { PartMemory } from './part-memory.js';
import { presigningOf } from './presigning.js';
import { probe } from './probe.js';
import { resumingBody } from './read-object.js';
import { type OpenObject, S3Bucket, type StoreCapabilities } from './s3-bucket.js';
import { Spool } from './spool.js';

const MIB = 1024 * 1024;

/** From here on a file goes in parts. All direct uploads stay below: one PUT keeps what is there, which parts may not. */
const MAX_PUT_BYTES = 160 * MIB;

/** Memory for parts: of files that are here, and of bodies whose senders may be slow and must not make those wait. */
const FILE_PARTS_BYTES = 48 * MIB;
const BODY_PARTS_BYTES = 64 * MIB;

const TIDY_INTERVAL_MS = 6 * 60 * 60 * 1000;

/** Told of what an operator should know. */
export type Log = (level: 'info' | 'warn', facts: object, message: string) => void;

/**
 * Blobs as objects of an S3 bucket. What is being received or looked at lies in a bounded spool on this machine; what is
 * too large for it goes straight into a multipart upload, and is looked at in the bucket.
 *
 * One of two commits to a key wins where the store honours `If-None-Match` on PUT. Where it doesn't, and for parts on most
 * stores, both may succeed within the time of a request, and the later one stays: the version that the earlier was told
 * then differs, and every read that asks for it says so.
 */
export class S3Blobs implements BlobStore {
  readonly presigning?: Presigning;
  /** As they were seen when the store was opened. */
  readonly capabilities: StoreCapabilities;
  readonly #bucket: S3Bucket;
  readonly #spool: Spool;
  readonly #underway: OpenUploadIds = new Set();
  readonly #filePartsMemory = new PartMemory(FILE_PARTS_BYTES);
  readonly #bodyPartsMemory = new PartMemory(BODY_PARTS_BYTES);
  readonly #closing = new AbortController();

  private constructor(parts: {
    bucket: S3Bucket;
    spool: Spool;
    presigning: Presigning | undefined;
    abilities: StoreCapabilities;
  }) {
    this.#bucket = parts.bucket;
    this.#spool = parts.spool;
    if (parts.presigning !== undefined) this.presigning = parts.presigning;
    this.capabilities = parts.abilities;
    // Every upload listens.
    setMaxListeners(0, this.#closing.signal);
  }

  /**
   * Opens the spool, makes sure that the bucket can be used, and finds out what the store can do.
   *
   * @throws BackendUnusable
   */
  static async open(
    location: S3Location,
    options: { spoolFolder: string; spoolBytes: number; log: Log; timeouts?: Timeouts },
  ): Promise<S3Blobs> {
    const timeouts = options.timeouts ?? TIMEOUTS;
    const connection = await connect(location, timeouts);
    try {
      const bucket = new S3Bucket(connection, location, timeouts);
      const abilities = await probe(bucket);
      const presigning = location.isPresigned ? await presigningOf(bucket, connection.signer) : undefined;
      options.log('info', { bucket: location.bucket, prefix: location.prefix, ...abilities }, 'the bucket can be used');
      const spool = await Spool.open(options.spoolFolder, options.spoolBytes);
      const blobs = new S3Blobs({ bucket, spool, presigning, abilities });
      blobs.#tidyNowAndThen(options.log);
      return blobs;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  async stage(body: Readable, options: StageOptions): Promise<StagedBlob> {
    const atMostBytes = Math.min(options.atMostBytes ?? options.limit.bytes, options.limit.bytes);
    if (atMostBytes > this.#spool.maxBytes) return this.#stageInStore(body, { ...options, atMostBytes });
    const file = await this.#spool.receive(body, { ...options, atMostBytes });
    const { path, sizeBytes, sha256 } = file;
    const commit = async () => {
      try {
        const version = await this.#keep(options.key, { path, sizeBytes, sha256 });
        if (version === undefined) throw alreadyExists();
        return { version };
      } finally {
        await file.remove();
      }
    };
    return { sizeBytes, sha256, content: { path }, commit, discard: () => file.remove() };
  }

  async #keep(key: string, file: { path: string; sizeBytes: number; sha256: string }): Promise<string | undefined> {
    const { path, sizeBytes, sha256 } = file;
    const { keepsFirst } = this.capabilities;
    if (sizeBytes <= MAX_PUT_BYTES) {
      return this.#bucket.put(key, { ...file, open: () => createReadStream(path) }, { keepsFirst });
    }
    const { version } = await uploadFileInParts(this.#bucket, key, {
      path,
      limit: { bytes: sizeBytes, message: '' },
      atMostBytes: sizeBytes,
      sha256,
      memory: this.#filePartsMemory,
      keepsFirst,
      underway: this.#underway,
      signal: this.#closing.signal,
    });
    return version;
  }

  /** The object is there before anybody has looked at it, as nothing less can be read; the catalog does not name it yet. */
  async #stageInStore(body: Readable, options: StageOptions & { atMostBytes: number }): Promise<StagedBlob> {
    const { key } = options;
    body.on('error', () => {});
    const { version, ...facts } = await uploadInParts(this.#bucket, key, body, {
      ...options,
      memory: this.#bodyPartsMemory,
      keepsFirst: this.capabilities.keepsFirst,
      underway: this.#underway,
    });
    const isOurs = async () => (await this.#bucket.head(key))?.version === version;
    return {
      ...facts,
      content: this.#afar(key, version),
      commit: async () => {
        if (!(await isOurs())) throw alreadyExists();
        return { version };
      },
      discard: async () => {
        if (await isOurs()) await this.#bucket.delete([key]);
      },
    };
  }

  #afar(key: string, version: string): BlobContent {
    return {
      readAt: async (start, end, signal) => {
        const body = await this.read(key, { range: { start, end }, version, signal });
        if (body === undefined) throw new Error(`${key} was deleted while it was being looked at.`);
        return buffer(body);
      },
    };
  }

  async read(
    key: string,
    options: {
      range?: { start: number; end: number } | undefined;
      version?: string | null | undefined;
      signal?: AbortSignal | undefined;
    } = {},
  ): Promise<Readable | undefined> {
    const opened = await this.#bucket.get(key, options);
    if (opened === undefined) return undefined;
    const body = Readable.from(resumingBody(this.#bucket, key, { opened, ...options }), { objectMode: false });
    // Given up before the first byte was asked for, it would keep its connection.
    return body.once('close', () => opened.body.destroy());
  }

  async fetch(
    key: string,
    options: { limit: ByteLimit; version?: string | null | undefined; signal: AbortSignal },
  ): Promise<FetchedBlob | undefined> {
    const { limit, signal } = options;
    const isForSpool = limit.bytes <= this.#spool.maxBytes;
    // Opened only once there is room for it: an answer that nobody reads for long would be cut off.
    let opened: OpenObject | undefined;
    const bucket = this.#bucket;
    const body = Readable.from(
      (async function* () {
        opened = await bucket.get(key, options);
        if (opened !== undefined) yield* resumingBody(bucket, key, { opened, signal });
      })(),
      { objectMode: false },
    );
    if (!isForSpool) {
      const meter = new Meter(limit);
      await pipeline(body, meter, new Writable({ write: (_chunk, _encoding, done) => done() }), { signal }).catch(
        (error) => {
          signal.throwIfAborted();
          throw error;
        },
      );
      if (opened === undefined) return undefined;
      const { version } = opened as OpenObject;
      const content = this.#afar(key, version);
      return { sizeBytes: meter.bytes, sha256: meter.digest(), content, version, discard: async () => {} };
    }
    const { path, sizeBytes, sha256, remove } = await this.#spool.receive(body, {
      limit,
      atMostBytes: limit.bytes,
      signal,
    });
    if (opened === undefined) {
      await remove();
      return undefined;
    }
    const { version } = opened as OpenObject;
    return { sizeBytes, sha256, content: { path }, version, discard: remove };
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

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#spool.close();
    this.#bucket.connection.close();
  }

  /** Uploads in parts that nobody goes on with are removed at the start, and every few hours. */
  #tidyNowAndThen(log: Log): void {
    const tidy = () =>
      abortAbandoned(this.#bucket, this.#underway, Date.now).catch((err) => {
        if (!this.#closing.signal.aborted)
          log('warn', { err: storeError(err) }, 'abandoned uploads could not be removed');
      });
    const timer = setInterval(tidy, TIDY_INTERVAL_MS);
    timer.unref();
    this.#closing.signal.addEventListener('abort', () => clearInterval(timer), { once: true });
    void tidy();
  }
}
