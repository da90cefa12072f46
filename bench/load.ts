import { open, readFile } from 'node:fs/promises';
import { BASE_PATH } from '../src/api/limits.js';
import { onJob } from './child.js';
import { Connection, mustSucceed } from './connection.js';

/** A job of requests that a separate process sends as fast as the server accepts them. */
export type Load =
  | {
      readonly kind: 'pairs';
      readonly target: Target;
      readonly connections: number;
      readonly pairs: number;
      /** Paths of images, repeated in order; each upload gets a different name. */
      readonly images: readonly string[];
    }
  | { readonly kind: 'captions'; readonly target: Target; readonly connections: number; readonly captions: number }
  | { readonly kind: 'put'; readonly urls: readonly string[]; readonly path: string };

/** A dataset, and a token that may upload to it. */
export interface Target {
  readonly url: string;
  readonly token: string;
  readonly datasetId: string;
}

export interface LoadResult {
  readonly seconds: number;
  /** The time of each answer, in order, in seconds since the first request. */
  readonly answeredAt: readonly number[];
}

const BOUNDARY = 'trainyard-bench-5a7d1e90c2';
const CHUNK_BYTES = 1024 * 1024;

/** The bytes of a direct upload's multipart request. */
function uploadRequest({ url, token, datasetId }: Target, filename: string, bytes: Buffer): Buffer[] {
  const part = Buffer.from(
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="${filename}"\r\n` +
      'Content-Type: application/octet-stream\r\n\r\n',
  );
  const end = Buffer.from(`\r\n--${BOUNDARY}--\r\n`);
  const head = Buffer.from(
    `POST ${BASE_PATH}/${datasetId}/upload HTTP/1.1\r\nHost: ${new URL(url).host}\r\n` +
      `Authorization: Bearer ${token}\r\nContent-Type: multipart/form-data; boundary=${BOUNDARY}\r\n` +
      `Content-Length: ${part.length + bytes.length + end.length}\r\n\r\n`,
  );
  return [Buffer.concat([head, part]), bytes, end];
}

/** Sends items, each a sequence of requests, over several connections. */
async function sendAll(url: string, items: readonly Buffer[][][], connections: number): Promise<LoadResult> {
  const open = await Promise.all(Array.from({ length: connections }, () => Connection.open(url)));
  const answeredAt: number[] = [];
  let next = 0;
  const startedAt = performance.now();
  const work = async (connection: Connection) => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) {
      for (const request of item) mustSucceed(await connection.request(...request));
      answeredAt.push((performance.now() - startedAt) / 1000);
    }
  };
  await Promise.all(open.map(work));
  for (const connection of open) connection.close();
  return { seconds: answeredAt.at(-1) ?? 0, answeredAt };
}

async function sendPairs({
  target,
  connections,
  pairs,
  images,
}: Extract<Load, { kind: 'pairs' }>): Promise<LoadResult> {
  const bytes = await Promise.all(images.map((path) => readFile(path)));
  const items = Array.from({ length: pairs }, (_, i) => [
    uploadRequest(target, `image_${i}.jpg`, bytes[i % bytes.length]!),
    uploadRequest(target, `image_${i}.txt`, captionOf(i)),
  ]);
  return sendAll(target.url, items, connections);
}

async function sendCaptions({
  target,
  connections,
  captions,
}: Extract<Load, { kind: 'captions' }>): Promise<LoadResult> {
  const items = Array.from({ length: captions }, (_, i) => [uploadRequest(target, `note_${i}.txt`, captionOf(i))]);
  return sendAll(target.url, items, connections);
}

const captionOf = (i: number) => Buffer.from(`a red wagon on siding ${i}, overcast sky, wet gravel in the foreground`);

/** Sends one file to all URLs concurrently, and reads it in chunks for each. */
async function putAll({ urls, path }: Extract<Load, { kind: 'put' }>): Promise<LoadResult> {
  const startedAt = performance.now();
  const answeredAt: number[] = [];
  await Promise.all(
    urls.map(async (url) => {
      await putFile(url, path);
      answeredAt.push((performance.now() - startedAt) / 1000);
    }),
  );
  return { seconds: answeredAt.at(-1) ?? 0, answeredAt };
}

async function putFile(url: string, path: string): Promise<void> {
  const { host, pathname, search } = new URL(url);
  const file = await open(path);
  const { size } = await file.stat();
  const connection = await Connection.open(url);
  const answered = connection.answered();
  await connection.write(`PUT ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${size}\r\n\r\n`);
  // One chunk is read while the other one is sent.
  const chunks = [Buffer.allocUnsafe(CHUNK_BYTES), Buffer.allocUnsafe(CHUNK_BYTES)] as const;
  let sent: Promise<void> = Promise.resolve();
  for (let at = 0, turn = 0; at < size; turn ^= 1) {
    const { bytesRead, buffer } = await file.read(chunks[turn]!, 0, CHUNK_BYTES, at);
    if (bytesRead === 0) throw new Error(`${path} became shorter`);
    await sent;
    sent = connection.write(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  await sent;
  mustSucceed(await answered);
  connection.close();
  await file.close();
}

onJob((load: Load): Promise<LoadResult> => {
  switch (load.kind) {
    case 'pairs':
      return sendPairs(load);
    case 'captions':
      return sendCaptions(load);
    case 'put':
      return putAll(load);
  }
});
