import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { WireDatasetWithFiles, WireManifest } from '../../src/api/schemas.js';
import { Api } from './api.js';
import { startServer, type TestServer } from './server.js';
import { newRoot } from './mounting.js';
import { sha256 } from './sha256.js';

/** The path of a folder that does not exist yet, and is removed with the test. */
export async function newFolder(): Promise<string> {
  return join(await newRoot(), 'folder');
}

type Held = Pick<WireManifest, 'dataset_id' | 'status' | 'files'> &
  Pick<WireDatasetWithFiles, 'role' | 'links' | 'counts'>;

/** The contents of a service as a client sees them, by the datasets' names. */
export type Holdings = Record<string, Held>;

/** The manifests of all datasets of the account, without placeholders, which a job adds. @throws Error where the bytes of a file don't match its SHA-256 */
export async function holdingsOf(api: Api): Promise<Holdings> {
  const holdings: Holdings = {};
  for (const { id, name } of (await api.list()).body.datasets) {
    const { dataset_id, status, files: listed } = (await api.manifest(id)).body;
    const files = listed.map(({ thumbhash, ...file }) => file);
    const { role, links, counts } = (await api.status(id)).body;
    holdings[name] = { dataset_id, role, status, counts, files, ...(links && { links }) };
    for (const { filename, sha256: expected } of files) {
      const response = await api.raw('GET', `/${id}/files/${encodeURIComponent(filename)}`);
      const bytes = Buffer.from(await response.arrayBuffer());
      const found = sha256(bytes);
      if (found !== expected) throw new Error(`${filename} of ${name} came as ${response.status}, ${found}`);
    }
  }
  return holdings;
}

/** Serves a folder to read its contents with an existing token, and stops again. */
export async function servedHoldings(
  dataFolder: string,
  { token, env = {} }: { token: string; env?: Record<string, string> },
): Promise<Holdings> {
  const server = await startServer({ 'caption-grace-seconds': 0 }, { dataFolder, env });
  try {
    return await holdingsOf(new Api(server.url, token));
  } finally {
    await server.stop();
  }
}

/** The blobs of a data folder, without thumbnails. */
export async function blobPathsIn(dataFolder: string): Promise<string[]> {
  return (await objectPathsIn(dataFolder)).filter((path) => !path.endsWith('.thumbnail'));
}

async function objectPathsIn(dataFolder: string): Promise<string[]> {
  const entries = await readdir(join(dataFolder, 'blobs'), { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile() && !entry.parentPath.endsWith('staging'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** The blob or thumbnail that holds these bytes. */
export async function pathOfBytes(dataFolder: string, bytes: Buffer | string): Promise<string> {
  for (const path of await objectPathsIn(dataFolder)) {
    if ((await readFile(path)).equals(Buffer.from(bytes))) return path;
  }
  throw new Error('there is no such blob');
}

/** Flips one bit in the middle of a file, as a failing disk may. */
export async function flipBit(path: string): Promise<void> {
  const bytes = await readFile(path);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  await writeFile(path, bytes);
}

/** Stops a server and returns its data folder. */
export async function stopped(server: TestServer): Promise<string> {
  await server.stop();
  onTestFinished(() => rm(server.dataFolder, { recursive: true, force: true }));
  return server.dataFolder;
}
