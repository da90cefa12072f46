import { randomUUID } from 'node:crypto';
import { DeleteObjectsCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { BackendUnusable } from '../../backend-unusable.js';
import type { Presigning } from '../blobs.js';
import { isTransient, startError, statusOfError } from './errors.js';
import { presigningOf } from './presigning.js';
import type { S3Bucket } from './s3-bucket.js';

/** Long enough for a clock of this machine that is wrong by as much as stores allow, which is 15 minutes. */
export const PROBE_LINK_SECONDS = 3600;

/** Equally long, because the signature of a link covers the length. */
const BODY = Buffer.from('the body');
const SOURCE = Buffer.from('a secret');

const ALL_USERS = 'uri="http://acs.amazonaws.com/groups/global/AllUsers"';

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html */
const ACL_HEADERS: readonly Readonly<Record<string, string>>[] = [
  { 'x-amz-acl': 'public-read' },
  { 'x-amz-acl': 'public-read-write' },
  { 'x-amz-acl': 'authenticated-read' },
  { 'x-amz-grant-read': ALL_USERS },
  { 'x-amz-grant-write': ALL_USERS },
  { 'x-amz-grant-full-control': ALL_USERS },
  { 'x-amz-grant-read-acp': ALL_USERS },
  { 'x-amz-grant-write-acp': ALL_USERS },
];

/** A link as `Presigning.presign` returns it. */
type Link = Awaited<ReturnType<Presigning['presign']>>;

/**
 * Finds out, with objects that it deletes afterwards, what the holder of a presigned link could do besides uploading its
 * file. A signature can't exclude headers. Some stores obey headers of a presigned PUT that are not signed, as far as the
 * signing user has the permission: Ceph does, Amazon rejects them.
 *
 * @returns what a client could do, as verb phrases
 * @throws BackendUnusable if the user of the links may not write, or the service may not read what that user has written
 */
export async function dangersOfLinks(
  bucket: S3Bucket,
  { hasLinkUser }: { hasLinkUser: boolean },
): Promise<readonly string[]> {
  const { writer } = bucket.connection;
  const { presign } = await presigningOf(bucket, bucket.connection.probeSigner);
  const folder = `.probe/${randomUUID()}`;
  const keys: string[] = [];
  const newKey = (name: string) => {
    keys.push(`${folder}/${name}`);
    return `${folder}/${name}`;
  };
  /** Uploads an object through a link of its own. */
  const upload = async (name: string, options: { body?: Buffer; headers?: Readonly<Record<string, string>> } = {}) => {
    const key = newKey(name);
    const { body = BODY, headers = {} } = options;
    const link = await presign(key, { sizeBytes: body.length, expiresInSeconds: PROBE_LINK_SECONDS });
    return { key, link, status: await putThrough(bucket, link, { body, headers }) };
  };
  try {
    const ours = newKey('ours');
    const put = new PutObjectCommand({ ...bucket.target(ours), ...bucket.newObject('probe'), Body: SOURCE });
    await writer.send(put).catch((error) => {
      throw startError(error, bucket.location, 's3:PutObject');
    });
    const theirs = await upload('theirs', { body: SOURCE });
    if (theirs.status !== 200) {
      if (!hasLinkUser) return [`not upload at all (the store answered ${theirs.status})`];
      throw linkUserError(bucket, `may not s3:PutObject (the store answered ${theirs.status})`);
    }
    if ((await bytesOf(bucket, theirs.key)) === undefined) {
      throw linkUserError(bucket, 'writes objects that the service may not read; grant it s3:GetObject');
    }
    // The owner of an object may read it without any policy. In Ceph that is the user who has written it.
    const copies = await Promise.all(
      [ours, theirs.key].map((source, i) => {
        const { Bucket, Key } = bucket.target(source);
        const path = [Bucket, ...Key.split('/')].map(encodeURIComponent).join('/');
        return upload(`copy-${i}`, { headers: { 'x-amz-copy-source': `/${path}` } });
      }),
    );
    const copied = await Promise.all(
      copies.map(async ({ status, key }) => {
        // 404: the store has looked for the source.
        if (!isDone(status)) return status === 404;
        return (await bytesOf(bucket, key))?.equals(BODY) !== true;
      }),
    );
    return [
      ...(copied.includes(true) ? ['read other objects of the bucket (it obeys x-amz-copy-source)'] : []),
      ...((await obeysAcls(bucket, { upload, plain: theirs.link }))
        ? ['publish files under the address of the store (it obeys x-amz-acl or x-amz-grant-…)']
        : []),
    ];
  } finally {
    const Objects = keys.map((key) => ({ Key: bucket.target(key).Key }));
    const { bucket: Bucket } = bucket.location;
    await bucket.connection.reader
      .send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }))
      .catch((error) => {
        throw startError(error, bucket.location, 's3:DeleteObject');
      });
  }
}

async function obeysAcls(
  bucket: S3Bucket,
  {
    upload,
    plain,
  }: { upload: (name: string, options: object) => Promise<{ link: Link; status: number }>; plain: Link },
): Promise<boolean> {
  // Where everyone may read everything, an ACL adds nothing.
  if (isDone(await getWithoutCredentials(bucket, plain))) return false;
  const uploads = await Promise.all(ACL_HEADERS.map((headers, i) => upload(`acl-${i}`, { headers })));
  const accepted = uploads.filter(({ status }) => isDone(status));
  // A store that rejects one ACL interprets them, and so obeys those that it accepts.
  if (accepted.length > 0 && accepted.length < uploads.length) return true;
  const statuses = await Promise.all(accepted.map(({ link }) => getWithoutCredentials(bucket, link)));
  return statuses.some(isDone);
}

/** Sends a PUT through a link. @returns the status of the answer */
export async function putThrough(
  bucket: S3Bucket,
  { url, headers }: Pick<Link, 'url' | 'headers'>,
  request: { body: Buffer; headers?: Readonly<Record<string, string>> },
): Promise<number> {
  const { body } = request;
  const all = { ...headers, ...request.headers, 'content-length': String(body.length) };
  return send(bucket, { method: 'PUT', url: new URL(url), headers: all, body });
}

function getWithoutCredentials(bucket: S3Bucket, link: Link): Promise<number> {
  const url = new URL(link.url);
  url.search = '';
  return send(bucket, { method: 'GET', url, headers: {} });
}

/** Sends a request as it is, without a signature. @throws BackendUnusable if the store does not answer */
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
    const { response } = await bucket.connection.writer.config.requestHandler.handle(request as never);
    response.body?.resume();
    if (response.statusCode < 500 || response.statusCode === 501) return response.statusCode;
    const { statusCode: httpStatusCode } = response;
    throw Object.assign(new Error(`HTTP ${httpStatusCode}`), { $metadata: { httpStatusCode } });
  } catch (error) {
    if (isTransient(error)) throw startError(error, bucket.location, 's3:PutObject');
    throw error;
  }
}

/** The bytes of an object; `undefined` if the service may not read it. */
async function bytesOf(bucket: S3Bucket, key: string): Promise<Buffer | undefined> {
  try {
    const { Body } = await bucket.connection.reader.send(new GetObjectCommand(bucket.target(key)));
    return Buffer.from((await Body?.transformToByteArray()) ?? []);
  } catch (error) {
    if (statusOfError(error) === 403) return undefined;
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
