import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import { digestOf } from '../../src/dataset/digest.js';

/** Takes over a request; returns false to leave it to the honest answer. */
export type Script = (request: { method: string; path: string }, response: ServerResponse) => unknown;

export interface ScriptedService {
  readonly url: string;
  /** `METHOD path`, and the token if there was one. */
  readonly seen: string[];
}

interface ScriptedDataset {
  readonly id: string;
  readonly name: string;
  readonly files: Record<string, Buffer | string>;
}

const TIME = '2025-07-22T13:05:16.143086';

/** The honest documents of a READY dataset. */
export function documentsOf({ id, name, files }: ScriptedDataset) {
  const list = Object.entries(files).map(([filename, bytes]) => {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const kind = { content_type: 'image/jpeg', kind: 'image', uploaded_at: TIME };
    return { filename, size_bytes: Buffer.from(bytes).length, ...kind, sha256, etag: `"${sha256}"` };
  });
  const digest = digestOf(list.map(({ filename, sha256 }) => ({ filename, upload: { sha256 } })));
  const none = { videos: 0, uncaptioned: 0, unpaired: 0, pending: 0, checking: 0, rejected: 0 };
  const counts = { images: 1, captions: 1, ...none };
  const dataset = { id, name, status: 'READY', created_at: TIME, updated_at: TIME, size_bytes: 1, counts };
  return {
    list: { datasets: [dataset] },
    status: { ...dataset, files: list, warnings: [], digest },
    manifest: { dataset_id: id, name, status: 'READY', digest, files: list },
  };
}

/** A server on a real socket, with one dataset, that a script can make lie. It ends with the test. */
export async function startScriptedService(dataset: ScriptedDataset, script?: Script): Promise<ScriptedService> {
  const seen: string[] = [];
  const documents = documentsOf(dataset);
  const answerHonestly = (method: string, path: string, range: string | undefined, response: ServerResponse) => {
    const target = path.slice(BASE_PATH.length);
    if (target === '' && method === 'GET') return sendJson(response, 200, documents.list);
    if (target.startsWith(`/${dataset.id}/status`)) return sendJson(response, 200, documents.status);
    if (target === `/${dataset.id}/manifest`) return sendJson(response, 200, documents.manifest);
    const name = decodeURIComponent(/\/files\/(.*)$/.exec(target)?.[1] ?? '');
    const bytes = dataset.files[name];
    if (bytes === undefined) return sendJson(response, 404, { error_code: 404003, error_message: 'no such route' });
    const from = Number(/bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0);
    const rest = Buffer.from(bytes).subarray(from);
    response.writeHead(from > 0 ? 206 : 200, { 'content-range': `bytes ${from}-` }).end(rest);
  };
  const server = createServer((request: IncomingMessage, response) => {
    const { method = '', url = '', headers } = request;
    // As a service that does not know the parameter, which answers with all datasets.
    const path = url.replace(/\?name=[^&]*$/, '');
    seen.push([method, path, headers.authorization].filter((part) => part !== undefined).join(' '));
    response.on('error', () => {});
    request.resume();
    request.once('end', () => {
      if (script === undefined || script({ method, path }, response) === false) {
        answerHonestly(method, path, headers.range, response);
      }
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

/** Writes a part of a body again and again, as fast as the client reads, until the client closes the connection. */
export function sendForever(response: ServerResponse, part: Buffer | string): void {
  const write = () => {
    while (!response.destroyed && response.write(part));
  };
  response.on('drain', write);
  write();
}
