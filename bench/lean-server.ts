import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { Busboy } from '@fastify/busboy';
import { DatabaseSync } from '@photostructure/sqlite';

/*
 * The least that a Node server must do for an upload that it acknowledges: parse the form, hash the bytes, make them and their name
 * durable, and commit two transactions. It checks nothing else. Started with the path of an empty folder; sends its port.
 */

const [folder = ''] = process.argv.slice(2);
const blobs = join(folder, 'blobs');
mkdirSync(blobs);
const database = new DatabaseSync(join(folder, 'catalog.sqlite'));
database.exec('pragma journal_mode = wal; pragma synchronous = full');
database.exec('create table file (id text primary key, name text, bytes integer, sha256 text)');
const reserve = database.prepare('insert into file (id, name) values (?, ?)');
const finalize = database.prepare('update file set bytes = ?, sha256 = ? where id = ?');

/** Resolves with the one file of a form. */
function fileOf(request: IncomingMessage): Promise<{ name: string; part: Readable }> {
  return new Promise((resolve, reject) => {
    const contentType = request.headers['content-type'] ?? '';
    const form = new Busboy({ headers: { ...request.headers, 'content-type': contentType } });
    form.on('file', (_field: string, part: Readable, name: string) => resolve({ name, part }));
    form.on('error', reject);
    request.pipe(form);
  });
}

/** Writes a stream to a file of a temporary name, and gives it its name once it is durable. */
async function store(id: string, part: Readable): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  const path = join(blobs, `${id}.part`);
  const file = await open(path, 'wx');
  let bytes = 0;
  for await (const chunk of part as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
    await file.write(chunk);
  }
  await file.datasync();
  await file.close();
  await rename(path, join(blobs, id));
  await names.sync();
  return { bytes, sha256: hash.digest('hex') };
}

async function receive(request: IncomingMessage): Promise<string> {
  const id = randomUUID();
  const { name, part } = await fileOf(request);
  // Each statement is a transaction.
  reserve.run(id, name);
  const { bytes, sha256 } = await store(id, part);
  finalize.run(bytes, sha256, id);
  return JSON.stringify({ id, sha256 });
}

const names = await open(blobs);
const server = createServer((request, response) => {
  receive(request).then(
    (answer) => response.writeHead(200, { 'content-length': Buffer.byteLength(answer) }).end(answer),
    (error) => response.writeHead(500, { 'content-length': 0 }).end(console.error(error)),
  );
});
// Longer than any pause of a busy machine.
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
// Also keeps the connection from the garbage collector, which would close it under its statements.
process.once('SIGTERM', () => {
  database.close();
  process.exit();
});
