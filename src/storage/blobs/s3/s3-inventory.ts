import { Readable } from 'node:stream';
import type { FetchedBlob, FetchOptions } from '../blobs.js';
import { measure } from '../ingest.js';
import { type BlobInventory, parseBlobName, type StoredObject } from '../inventory.js';
import { S3Bucket } from './bucket.js';
import { connect } from './connection.js';
import { startError } from './errors.js';
import type { S3Location } from './location.js';
import { abortUpload, unfinishedUploads } from './parts.js';
import { STAGING_PREFIX } from './presigning.js';
import { resumingBody } from './read-object.js';
import { TIMEOUTS } from './timeouts.js';

/** Everything under the prefix of a bucket. It needs no spool: it reads objects without keeping their bytes. */
export class S3Inventory implements BlobInventory {
  readonly #bucket: S3Bucket;

  private constructor(bucket: S3Bucket) {
    this.#bucket = bucket;
  }

  /** @throws BackendUnusable */
  static async open(location: S3Location): Promise<S3Inventory> {
    const connection = await connect(location, TIMEOUTS);
    const bucket = new S3Bucket(connection, location, TIMEOUTS);
    const pages = bucket.list('');
    await pages.next().catch((error) => {
      connection.close();
      throw startError(error, location, 's3:ListBucket');
    });
    return new S3Inventory(bucket);
  }

  async fetch(key: string, options: FetchOptions): Promise<FetchedBlob | undefined> {
    const opened = await this.#bucket.get(key, options);
    if (opened === undefined) return undefined;
    const body = Readable.from(resumingBody(this.#bucket, key, { opened, ...options }), { objectMode: false });
    const facts = await measure(body, options).finally(() => opened.body.destroy());
    const readAt = () => Promise.reject(new Error('An inventory keeps no bytes.'));
    return { ...facts, version: opened.version, content: { readAt }, discard: async () => {} };
  }

  async *objects(): AsyncGenerator<readonly StoredObject[]> {
    for await (const page of this.#bucket.list('')) {
      yield page.map(({ key, sizeBytes, changedAt }) => ({ name: key, ...namesIn(key), sizeBytes, changedAt }));
    }
    for await (const page of unfinishedUploads(this.#bucket)) {
      yield page.map(({ key, uploadId, begunAt }) => {
        // The size of the parts would take a request for each upload.
        return { name: key, ...namesIn(key), kind: 'parts', uploadId, sizeBytes: 0, changedAt: begunAt };
      });
    }
  }

  async has({ name, uploadId, sizeBytes }: StoredObject): Promise<boolean> {
    if (uploadId === undefined) return (await this.#bucket.find([name])).get(name)?.sizeBytes === sizeBytes;
    for await (const page of unfinishedUploads(this.#bucket, name)) {
      if (page.some((upload) => upload.uploadId === uploadId)) return true;
    }
    return false;
  }

  async remove({ name, uploadId }: StoredObject): Promise<void> {
    if (uploadId === undefined) return this.#bucket.delete([name]);
    await abortUpload(this.#bucket, { key: name, uploadId });
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
