import {
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  ListPartsCommand,
  type ListPartsCommandOutput,
  type MultipartUpload,
  type Part,
} from '@aws-sdk/client-s3';
import type { FoundBlob, ObjectPage } from '../blobs.js';
import { notOfStore, storeError } from './errors.js';
import { type S3Bucket, versionOf } from './s3-bucket.js';

/**
 * Lists up to 1000 objects with this prefix and keys after `after`, ordered by key; usually one request.
 *
 * @throws what `storeError` returns
 */
export async function listObjects(bucket: S3Bucket, keyPrefix: string, after?: string): Promise<ObjectPage> {
  const { Bucket, Key: Prefix } = bucket.target(keyPrefix);
  const start = after === undefined ? undefined : bucket.target(after).Key;
  const ours = bucket.target('').Key.length;
  for (let token: string | undefined; ; ) {
    const position = token === undefined ? { ...(start && { StartAfter: start }) } : { ContinuationToken: token };
    const command: ListObjectsV2Command = new ListObjectsV2Command({ Bucket, Prefix, ...position });
    const answer: ListObjectsV2CommandOutput = await bucket.connection.reader.send(command).catch(throwStoreError);
    const { Contents = [] } = answer;
    const isLast = isLastPage(answer);
    // A page may have no keys, and yet not be the last one.
    if (Contents.length === 0 && !isLast) {
      token = advanced(token, answer.NextContinuationToken);
      continue;
    }
    const last = Contents.at(-1)?.Key ?? '';
    if (!isLast && start !== undefined && Buffer.compare(Buffer.from(last), Buffer.from(start)) <= 0) throw repeats();
    const objects = Contents.map((object) => ({
      key: (object.Key ?? '').slice(ours),
      sizeBytes: object.Size ?? 0,
      version: versionOf(object),
      lastModified: object.LastModified ?? new Date(0),
    }));
    return { objects, next: isLast ? undefined : last.slice(ours) };
  }
}

/** Finds which of these keys of one dataset exist, with listings: one request for up to 1000 keys. */
export async function findObjects(bucket: S3Bucket, keys: readonly string[]): Promise<Map<string, FoundBlob>> {
  const wanted = new Set(keys);
  const found = new Map<string, FoundBlob>();
  const [first, ...others] = keys.toSorted();
  if (first === undefined) return found;
  const last = others.at(-1) ?? first;
  // The key without its last character sorts before the first key.
  for (let after: string | undefined = first.slice(0, -1); after !== undefined && after < last; ) {
    const { objects, next } = await listObjects(bucket, first.slice(0, first.indexOf('/') + 1), after);
    for (const { key, sizeBytes, version } of objects) if (wanted.has(key)) found.set(key, { sizeBytes, version });
    after = next;
  }
  return found;
}

/** Pages of the multipart uploads under the prefix that have not ended. @throws what `storeError` returns */
export async function* unfinishedUploads(bucket: S3Bucket): AsyncGenerator<readonly MultipartUpload[]> {
  const { Bucket, Key: Prefix } = bucket.target('');
  for (let marker: { KeyMarker?: string; UploadIdMarker?: string } = {}; ; ) {
    const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({ Bucket, Prefix, ...marker });
    const page: ListMultipartUploadsCommandOutput = await bucket.connection.reader.send(command).catch(throwStoreError);
    yield page.Uploads ?? [];
    if (isLastPage(page)) return;
    const { NextKeyMarker = '', NextUploadIdMarker = '' } = page;
    if (marker.KeyMarker === NextKeyMarker && marker.UploadIdMarker === NextUploadIdMarker) throw repeats();
    marker = { KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker };
  }
}

/** Pages of the parts of an upload; none if it has ended. @throws what `storeError` returns */
export async function* partsOfUpload(
  bucket: S3Bucket,
  upload: { readonly Bucket: string; readonly Key: string; readonly UploadId: string },
): AsyncGenerator<readonly Part[]> {
  for (let marker: string | undefined; ; ) {
    const position = { ...(marker !== undefined && { PartNumberMarker: marker }) };
    const command: ListPartsCommand = new ListPartsCommand({ ...upload, ...position });
    const page: ListPartsCommandOutput | undefined = await bucket.connection.reader
      .send(command)
      .catch(undefinedIfEnded);
    if (page === undefined) return;
    yield page.Parts ?? [];
    if (isLastPage(page)) return;
    marker = advanced(marker, page.NextPartNumberMarker);
  }
}

/** For a multipart upload that has been completed or aborted. */
export function undefinedIfEnded(error: unknown): undefined {
  if (error instanceof Error && error.name === 'NoSuchUpload') return undefined;
  throw storeError(error);
}

/** Every page of a store says whether it is the last one. */
function isLastPage({ IsTruncated }: { IsTruncated?: boolean | undefined }): boolean {
  if (IsTruncated === undefined) throw notOfStore('request for a listing');
  return !IsTruncated;
}

function advanced(before: string | undefined, next: string | undefined): string {
  if (next === undefined || next === before) throw repeats();
  return next;
}

/** For a listing that would never end. */
function repeats() {
  return notOfStore('request for the next page of a listing');
}

function throwStoreError(error: unknown): never {
  throw storeError(error);
}
