import { randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { ServiceError } from '../../../dataset/errors.js';
import { BackendUnusable } from '../../backend-unusable.js';
import { copySourceOf, type S3Bucket, STAGING_PREFIX } from './bucket.js';
import { isTransient, startError, statusOfError } from './connection.js';
import { linkSigner } from './presigning.js';

/** Stores tolerate a clock that is wrong by 15 minutes. */
const LINK_SECONDS = 3600;

/** Equally long, because the signature of a link covers the length. */
const BODY = Buffer.from('the body');
const SOURCE = Buffer.from('a secret');

type Headers = Readonly<Record<string, string>>;

/** A policy denies each by itself: https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html */
const ACL_HEADERS: readonly Headers[] = [
  ...['public-read', 'public-read-write', 'authenticated-read'].map((acl) => ({ 'x-amz-acl': acl })),
  ...['read', 'write', 'full-control', 'read-acp', 'write-acp'].map((right) => ({
    [`x-amz-grant-${right}`]: 'uri="http://acs.amazonaws.com/groups/global/AllUsers"',
  })),
];

/**
 * Sends every kind of request that the service needs, so that a missing permission is reported at the start, and finds out
 * what the holder of a presigned link could do besides uploading a file.
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
  const keys: string[] = [];
  const folder = `${STAGING_PREFIX}${randomUUID()}`;
  const newKey = (): string => {
    keys.push(`${folder}/${keys.length}`);
    return keys.at(-1)!;
  };
  const ours = newKey();
  // Also fails if the store does not answer or the bucket does not exist.
  await requiring('s3:ListBucket', bucket.list(folder).next());
  const command = new PutObjectCommand({ ...bucket.target(ours), ...bucket.newObject('probe'), Body: SOURCE });
  await requiring('s3:PutObject', bucket.connection.client.send(command));
  try {
    const opened = await requiring('s3:GetObject', bucket.open(ours));
    opened?.body.destroy();
    const copied = bucket.copy(ours, newKey(), opened?.version ?? '').catch((error) => {
      // Ceph copies no encrypted objects before version 20.
      if (statusOfError(error.cause) === 501) return undefined;
      throw error;
    });
    const canCopy = (await requiring('s3:GetObject', copied)) !== undefined;
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
 * A signature can't exclude headers. Some stores, such as Ceph, obey unsigned headers of a presigned PUT if the signing user
 * has the permission; Amazon rejects them.
 *
 * @returns what a client could do, as verb phrases
 * @throws BackendUnusable if the user of the links may not write, or the service may not read the objects
 */
async function dangersOfLinks(
  bucket: S3Bucket,
  { ours, newKey, hasLinkUser }: { ours: string; newKey: () => string; hasLinkUser: boolean },
): Promise<readonly string[]> {
  const { sign } = await linkSigner(bucket, bucket.connection.probeSigner);
  const upload = async (headers: Headers = {}, body = BODY) => {
    const key = newKey();
    const link = await sign(key, { sizeBytes: body.length, expiresInSeconds: LINK_SECONDS });
    const all = { ...link.headers, ...headers, 'content-length': String(body.length) };
    const url = new URL(link.url);
    const status = await send(bucket, { method: 'PUT', url, headers: all, body });
    return { key, url, status, isDone: isDone(status) };
  };
  const canReadWithoutCredentials = async ({ url }: { url: URL }) =>
    isDone(await send(bucket, { method: 'GET', url: new URL(url.pathname, url), headers: {} }));

  const theirs = await upload({}, SOURCE);
  if (!theirs.isDone) {
    if (!hasLinkUser) return [`not upload at all (the store answered ${theirs.status})`];
    throw linkUserError(bucket, `may not s3:PutObject (the store answered ${theirs.status})`);
  }
  if ((await bytesOf(bucket, theirs.key)) === undefined) {
    throw linkUserError(bucket, 'writes objects that the service may not read; grant it s3:GetObject');
  }
  // The owner of an object, in Ceph the user who has written it, may read it without any policy.
  const copies = [ours, theirs.key].map(async (source) => {
    const copy = await upload({ 'x-amz-copy-source': copySourceOf(bucket.target(source)) });
    // 404: the store has looked for the source.
    return copy.isDone ? (await bytesOf(bucket, copy.key))?.equals(BODY) !== true : copy.status === 404;
  });
  const obeysAcls = async () => {
    // Where all may read everything, an ACL adds nothing.
    if (await canReadWithoutCredentials(theirs)) return false;
    const accepted = (await Promise.all(ACL_HEADERS.map((headers) => upload(headers)))).filter(({ isDone }) => isDone);
    // A store that rejects one ACL interprets them, and obeys those that it accepts.
    if (accepted.length > 0 && accepted.length < ACL_HEADERS.length) return true;
    return (await Promise.all(accepted.map(canReadWithoutCredentials))).includes(true);
  };
  return [
    ...((await Promise.all(copies)).includes(true)
      ? ['read other objects of the bucket (it obeys x-amz-copy-source)']
      : []),
    ...((await obeysAcls())
      ? ['publish files under the address of the store (it obeys x-amz-acl or x-amz-grant-…)']
      : []),
  ];
}

/** Sends a request without a signature. @returns the status @throws BackendUnusable without an answer */
async function send(
  bucket: S3Bucket,
  { method, url, headers, body }: { method: string; url: URL; headers: Headers; body?: Buffer },
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

async function bytesOf(bucket: S3Bucket, key: string): Promise<Buffer | undefined> {
  try {
    const body = await bucket.read(key);
    return body && (await buffer(body));
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
