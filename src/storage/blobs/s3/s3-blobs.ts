import { Readable } from 'node:stream';
import type {
  BlobStore,
  FetchOptions,
  MeasuredBlob,
  Presigning,
  StagedBlob,
  StagedObject,
  StageOptions,
  Staging,
} from '../blobs.js';
import { S3Bucket, STAGING_PREFIX } from './bucket.js';
import { connect, MAX_SLOW_READS, type S3Credentials, TIMEOUTS, type Timeouts } from './connection.js';
import type { S3Location } from './location.js';
import { linkSigner } from './presigning.js';
import { probe } from './probe.js';
import { Spool } from './spool.js';

/** The largest object of one PUT or copy: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const MAX_PUT_BYTES = 5 * 1024 ** 3;

/** The size of the spool. A direct upload fits into half of it, which an account may use. */
const SPOOL_BYTES = 8 * 1024 ** 3;

/** Writes to the log. */
export type Log = (level: 'info' | 'warn', facts: object, message: string) => void;

interface S3Options {
  readonly spoolFolder: string;
  readonly spoolBytes?: number;
  readonly log: Log;
  /** The user whose signature presigned links have; by default the service's. */
  readonly linkCredentials?: S3Credentials | undefined;
  readonly timeouts?: Timeouts;
}

/** Stores blobs as objects of a bucket. A bounded spool on this machine holds files while they are received or inspected. */
export class S3Blobs extends S3Bucket implements BlobStore {
  readonly maxSlowReads = MAX_SLOW_READS;
  readonly maxFileBytes: number;
  readonly presigning?: Presigning;
  readonly staging: Staging;
  readonly #spool: Spool;

  private constructor({ connection, location }: S3Bucket, spool: Spool, presigning: Presigning | undefined) {
    super(connection, location);
    this.#spool = spool;
    this.maxFileBytes = Math.min(spool.maxFileBytes, MAX_PUT_BYTES);
    if (presigning !== undefined) this.presigning = presigning;
    this.staging = {
      list: (datasetId) => this.#listStaged(datasetId),
      receive: (key, options) => this.#receiveStaged(key, options),
      delete: (keys) => this.delete(keys.map(stagingKeyOf)),
    };
  }

  /** Opens the spool and checks the bucket. Links are presigned only if they allow nothing but uploads. @throws BackendUnusable */
  static async open(location: S3Location, options: S3Options): Promise<S3Blobs> {
    const { spoolFolder, spoolBytes = SPOOL_BYTES, log, linkCredentials, timeouts = TIMEOUTS } = options;
    const connection = await connect(location, timeouts, linkCredentials);
    try {
      const bucket = new S3Bucket(connection, location);
      const hasLinkUser = linkCredentials !== undefined;
      const reasons = await probe(bucket, { isPresigned: location.isPresigned, hasLinkUser });
      const isPresigned = location.isPresigned && reasons.length === 0;
      log('info', { bucket: location.bucket, prefix: location.prefix, isPresigned }, 'the bucket can be used');
      if (reasons.length > 0) log('warn', { reasons }, whyNotPresigned(reasons, { hasLinkUser }));
      const { origin, sign } = await linkSigner(bucket, connection.signer);
      const presign: Presigning['presign'] = (key, terms) => sign(stagingKeyOf(key), terms);
      const spool = await Spool.open(spoolFolder, spoolBytes);
      return new S3Blobs(bucket, spool, isPresigned ? { origin, presign } : undefined);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  async stage(body: Readable, options: StageOptions): Promise<StagedBlob> {
    const { key, limit, atMostBytes = limit.bytes, signal } = options;
    const file = await this.#spool.receive(body, { ...options, atMostBytes: Math.min(atMostBytes, limit.bytes) });
    const commit = () => this.create(key, file, signal).finally(file.discard);
    return { ...file, commit: async () => ({ version: await commit() }) };
  }

  async fetch(key: string, options: FetchOptions): Promise<(MeasuredBlob & { version: string }) | undefined> {
    let version: string | undefined;
    const open = async () => {
      const opened = await this.open(key, options);
      version = opened?.version;
      return opened?.body ?? [];
    };
    // The request is sent once the spool has space: the store closes a connection whose body is not read.
    async function* bytes(): AsyncGenerator<Buffer> {
      yield* await open();
    }
    const body = Readable.from(bytes(), { objectMode: false });
    const file = await this.#spool.receive(body, { ...options, atMostBytes: options.limit.bytes });
    if (version !== undefined) return { ...file, version };
    await file.discard();
    return undefined;
  }

  async *#listStaged(datasetId?: string): AsyncGenerator<readonly StagedObject[]> {
    for await (const page of this.list(stagingKeyOf(datasetId === undefined ? '' : `${datasetId}/`))) {
      yield page.map(({ key, changedAt }) => ({ key: key.slice(STAGING_PREFIX.length), changedAt }));
    }
  }

  async #receiveStaged(key: string, options: FetchOptions): Promise<StagedBlob | undefined> {
    const from = stagingKeyOf(key);
    const fetched = await this.fetch(from, options);
    if (fetched === undefined) return undefined;
    const { version, ...file } = fetched;
    const commit = () => this.copy(from, key, version).finally(file.discard);
    return { ...file, commit: async () => ({ version: await commit() }) };
  }

  override async close(): Promise<void> {
    await this.#spool.close();
    await super.close();
  }
}

function stagingKeyOf(key: string): string {
  return `${STAGING_PREFIX}${key}`;
}

function whyNotPresigned(reasons: readonly string[], { hasLinkUser }: { hasLinkUser: boolean }): string {
  const advice = hasLinkUser
    ? 'Correct the policy of the user of TRAINYARD_PRESIGN_ACCESS_KEY_ID: docs/scaling.md has one.'
    : 'Let another user sign the links, with TRAINYARD_PRESIGN_ACCESS_KEY_ID: docs/scaling.md has its policy.';
  return `uploads through links pass through the service, since ${reasons.join(', and ')}. ${advice}`;
}
