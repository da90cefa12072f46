import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { ServiceError } from '../../../dataset/errors.js';
import { BackendUnusable } from '../../backend-unusable.js';
import type { BlobStore } from '../blobs.js';
import { copySourceOf, type S3Bucket } from './bucket.js';
import { isTransient, startError, statusOfError } from './errors.js';
import { linkSigner, STAGING_PREFIX } from './presigning.js';

/** Long enough for a clock of this machine that is wrong by as much as stores allow, which is 15 minutes. */
const LINK_SECONDS = 3600;

/** Equally long, because the signature of a link covers the length. */
const BODY = Buffer.from('the body');
const SOURCE = Buffer.from('a secret');

/** A policy denies each of them by itself: https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html */
const ACL_HEADERS: readonly Readonly<Record<string, string>>[] = [
  ...['public-read', 'public-read-write', 'authenticated-read'].map((acl) => ({ 'x-amz-acl': acl })),
  ...['read', 'write', 'full-control', 'read-acp', 'write-acp'].map((right) => ({
    [`x-amz-grant-${right}`]: 'uri="http://acs.amazonaws.com/groups/global/AllUsers"',
  })),
];

/**
 * Sends every kind of request that the service needs, with objects that it deletes afterwards, so that a missing permission is
 * reported at the start. If links are to be presigned, it also finds out what the holder of one could do besides uploading a file.
 *
 * @returns why links must not be presigned, as clauses
 * @throws BackendUnusable that names the missing permission
 */
export async function probe(
  bucket: S3Bucket,
  { isPresigned, hasLinkUser }: { isPresigned: boolean; hasLinkUser: boolean },
): Promise<readonly string[]> {
  const requiring = <T>(permission: string, work: Promise<T>): Promise<T> =>
    work.catch((error) => {
      throw startError(error, bucket.location, permission);
    });
  const folder = `${STAGING_PREFIX}${randomUUID()}`;
  const keys: string[] = [];
  const newKey = (): string => {
    keys.push(`${folder}/${keys.length}`);
    return keys.at(-1)!;
  };
  const [ours, copy] = [newKey(), newKey()];
  // The first request also fails if the store does not answer or the bucket does not exist.
  await requiring('s3:ListBucket', bucket.list(folder).next());
  await requiring(
    's3:PutObject',
    bucket.connection.client.send(
      new PutObjectCommand({ ...bucket.target(ours), ...bucket.newObject('probe'), Body: SOURCE }),
    ),
  );
  try {
    const { version } = (await requiring('s3:GetObject', bucket.head(ours))) ?? { version: '' };
    const copied = bucket.copy(ours, copy, version).catch((error) => {
      // Ceph copies no encrypted objects before version 20.
      if (statusOfError(error.cause) === 501) return 'not implemented' as const;
      throw error;
    });
    const canCopy = (await requiring('s3:GetObject', copied)) !== 'not implemented';
    if (!isPresigned) return [];
    const dangers = await dangersOfLinks(bucket, { ours, newKey, hasLinkUser });
    return [
      ...dangers.map((danger) => `a client could ${danger} with a presigned link`),
      ...(canCopy ? [] : ['the store copies no encrypted objects']),
    ];
  } finally {
    await requiring('s3:DeleteObject', bucket.delete(keys));
  }
}

/**
 * A signature can't exclude headers. Some stores obey headers of a presigned PUT that are not signed, as far as the signing user
 * has the permission: Ceph does, Amazon rejects them.
 *
 * @returns what a client could do, as verb phrases
 * @param options.ours an object that the service has written
 * @throws BackendUnusable if the user of the links may not write, or the service may not read what that user has written
 */
async function dangersOfLinks(
  bucket: S3Bucket,
  { ours, newKey, hasLinkUser }: { ours: string; newKey: () => string; hasLinkUser: boolean },
): Promise<readonly string[]> {
  const { sign } = await linkSigner(bucket, bucket.connection.probeSigner);
  /** Uploads an object through a link of its own. */
  const upload: Uploader = async (headers = {}, body = BODY) => {
    const key = newKey();
    const { url, headers: signed } = await sign(key, { sizeBytes: body.length, expiresInSeconds: LINK_SECONDS });
    const all = { ...signed, ...headers, 'content-length': String(body.length) };
    return {
      key,
      url: new URL(url),
      status: await send(bucket, { method: 'PUT', url: new URL(url), headers: all, body }),
    };
  };
  const theirs = await upload({}, SOURCE);
  if (!isDone(theirs.status)) {
    if (!hasLinkUser) return [`not upload at all (the store answered ${theirs.status})`];
    throw linkUserError(bucket, `may not s3:PutObject (the store answered ${theirs.status})`);
  }
  if ((await bytesOf(bucket, theirs.key)) === undefined) {
    throw linkUserError(bucket, 'writes objects that the service may not read; grant it s3:GetObject');
  }
  // The owner of an object may read it without any policy. In Ceph that is the user who has written it.
  const copies = [ours, theirs.key].map(async (source) => {
    const { status, key } = await upload({ 'x-amz-copy-source': copySourceOf(bucket.target(source)) });
    // 404: the store has looked for the source.
    return isDone(status) ? (await bytesOf(bucket, key))?.equals(BODY) !== true : status === 404;
  });
  const obeysCopies = (await Promise.all(copies)).includes(true);
  return [
    ...(obeysCopies ? ['read other objects of the bucket (it obeys x-amz-copy-source)'] : []),
    ...((await obeysAcls(bucket, upload, theirs.url))
      ? ['publish files under the address of the store (it obeys x-amz-acl or x-amz-grant-…)']
      : []),
  ];
}

type Uploader = (
  headers?: Readonly<Record<string, string>>,
  body?: Buffer,
) => Promise<{ key: string; url: URL; status: number }>;

/** @param plain the link of an object that was uploaded without such headers */
async function obeysAcls(bucket: S3Bucket, upload: Uploader, plain: URL): Promise<boolean> {
  const getWithoutCredentials = (link: URL) => {
    const url = new URL(link);
    url.search = '';
    return send(bucket, { method: 'GET', url, headers: {} });
  };
  // Where everyone may read everything, an ACL adds nothing.
  if (isDone(await getWithoutCredentials(plain))) return false;
  const uploads = await Promise.all(ACL_HEADERS.map((headers) => upload(headers)));
  const accepted = uploads.filter(({ status }) => isDone(status));
  // A store that rejects one ACL interprets them, and so obeys those that it accepts.
  if (accepted.length > 0 && accepted.length < uploads.length) return true;
  return (await Promise.all(accepted.map(({ url }) => getWithoutCredentials(url)))).some(isDone);
}

/** Sends a request as it is, without a signature. @returns the status of the answer @throws BackendUnusable without an answer */
async function send(
  bucket: S3Bucket,
  { method, url, headers, body }: { method: string; url: URL; headers: Record<string, string>; body?: Buffer },
): Promise<number> {
  const { protocol, hostname, port, host, pathname, search } = url;
  const request = {
    ...{ method, protocol, hostname, ...(port !== '' && { port: Number(port) }), path: `${pathname}${search}` },
    ...{ query: {}, headers: { ...headers, host }, body },
  };
  try {
    const { response } = await bucket.connection.client.config.requestHandler.handle(request as never);
    response.body?.resume();
    const { statusCode } = response;
    if (statusCode < 500 || statusCode === 501) return statusCode;
    throw Object.assign(new Error(`HTTP ${statusCode}`), { $metadata: { httpStatusCode: statusCode } });
  } catch (error) {
    if (isTransient(error)) throw startError(error, bucket.location, 's3:PutObject');
    throw error;
  }
}

/** The bytes of an object; `undefined` if the service may not read it. */
async function bytesOf(bucket: S3Bucket, key: string): Promise<Buffer | undefined> {
  try {
    const opened = await bucket.read(key);
    return opened && (await buffer(opened.body));
  } catch (error) {
    if (error instanceof ServiceError && statusOfError(error.cause) === 403) return undefined;
    throw startError(error, bucket.location, 's3:GetObject');
  }
}

function isDone(status: number): boolean {
  return status >= 200 && status < 300;
}

function linkUserError({ location }: S3Bucket, fault: string): BackendUnusable {
  const where = `on the bucket "${location.bucket}" below "${location.prefix}"`;
  const message = `the user of TRAINYARD_PRESIGN_ACCESS_KEY_ID ${fault} ${where}. Correct its key or the policy; docs/scaling.md has one.`;
  return new BackendUnusable(message, { isTemporary: false, cause: undefined });
}

/**
 * Whether two places in buckets are one, although they are named differently, such as by two endpoints: whether the other has a
 * test object that is stored in the one.
 *
 * @throws ServiceError `unavailable`; the signal's reason
 */
export async function areOnePlace(
  one: BlobStore,
  other: Pick<BlobStore, 'find'>,
  signal: AbortSignal,
): Promise<boolean> {
  const key = `${STAGING_PREFIX}${randomUUID()}`;
  const limit = { bytes: BODY.length, message: 'The test object is longer than itself.' };
  const staged = await one.stage(Readable.from([BODY]), { key, limit, signal });
  try {
    await staged.commit();
    return (await other.find([key])).has(key);
  } finally {
    await one.delete([key]);
  }
}
