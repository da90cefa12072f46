import { Readable } from 'node:stream';
import { AbortMultipartUploadCommand } from '@aws-sdk/client-s3';
import type { FetchedBlob, FetchOptions } from '../blobs.js';
import { measure } from '../ingest.js';
import { type BlobInventory, parseBlobName, type StoredObject } from '../inventory.js';
import { connect } from './connection/connection.js';
import type { S3Location } from './connection/location.js';
import { TIMEOUTS } from './connection/timeouts.js';
import { startError } from './errors.js';
import { listObjects, partsOfUpload, undefinedIfEnded, unfinishedUploads } from './listings.js';
import { PROBE_FOLDER } from './probe.js';
import { resumingBody } from './read-object.js';
import { S3Bucket } from './s3-bucket.js';

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
    await listObjects(bucket, '').catch((error) => {
      connection.close();
      throw startError(error instanceof Error ? (error.cause ?? error) : error, location, 's3:ListBucket');
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
    for (let next: string | undefined, isFirst = true; isFirst || next !== undefined; isFirst = false) {
      const page = await listObjects(this.#bucket, '', next);
      const objects = page.objects.map(({ key, sizeBytes, lastModified }) => ({
        name: key,
        ...namesIn(key),
        sizeBytes,
        changedAt: lastModified.getTime(),
      }));
      if (objects.length > 0) yield objects;
      next = page.next;
    }
    yield* this.#unfinishedUploads();
  }

  async *#unfinishedUploads(): AsyncGenerator<readonly StoredObject[]> {
    const ours = this.#bucket.target('').Key.length;
    for await (const uploads of unfinishedUploads(this.#bucket)) {
      const found: StoredObject[] = [];
      for (const { Key = '', UploadId = '', Initiated } of uploads) {
        const name = Key.slice(ours);
        const facts = await this.#partsOf({ name, uploadId: UploadId });
        const changedAt = Math.max(facts?.changedAt ?? 0, Initiated?.getTime() ?? 0);
        if (facts === undefined) continue;
        found.push({ name, ...namesIn(name), kind: 'parts', uploadId: UploadId, ...facts, changedAt });
      }
      if (found.length > 0) yield found;
    }
  }

  /** The size of all parts and when the last one arrived; `undefined` if the upload has ended. */
  async #partsOf({ name, uploadId }: PartsId): Promise<Pick<StoredObject, 'sizeBytes' | 'changedAt'> | undefined> {
    let facts: { sizeBytes: number; changedAt: number } | undefined;
    for await (const parts of partsOfUpload(this.#bucket, { ...this.#bucket.target(name), UploadId: uploadId })) {
      facts ??= { sizeBytes: 0, changedAt: 0 };
      for (const { Size = 0, LastModified } of parts) {
        facts.sizeBytes += Size;
        facts.changedAt = Math.max(facts.changedAt, LastModified?.getTime() ?? 0);
      }
    }
    return facts;
  }

  async has({ name, uploadId, sizeBytes }: StoredObject): Promise<boolean> {
    const found = uploadId === undefined ? await this.#bucket.head(name) : await this.#partsOf({ name, uploadId });
    return found?.sizeBytes === sizeBytes;
  }

  async remove({ name, uploadId }: StoredObject): Promise<void> {
    if (uploadId === undefined) return this.#bucket.delete([name]);
    const abort = new AbortMultipartUploadCommand({ ...this.#bucket.target(name), UploadId: uploadId });
    await this.#bucket.connection.writer.send(abort).catch(undefinedIfEnded);
  }

  async close(): Promise<void> {
    this.#bucket.connection.close();
  }
}

type PartsId = { readonly name: string; readonly uploadId: string };

function namesIn(key: string): Pick<StoredObject, 'kind' | 'fileId' | 'datasetId'> {
  if (key.startsWith(PROBE_FOLDER)) return { kind: 'temporary' };
  const [datasetId = '', name = '', ...rest] = key.split('/');
  const isOurs = /^[0-9a-f]{32}$/.test(datasetId) && rest.length === 0;
  const parsed = isOurs ? parseBlobName(name) : undefined;
  return parsed === undefined ? { kind: 'foreign' } : { ...parsed, datasetId };
}
