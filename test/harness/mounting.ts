import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Api } from './api.js';
import { temporaryFolder } from './server.js';
import { sha256 } from './sha256.js';

/** An empty folder, removed with the test. */
export async function newRoot(): Promise<string> {
  const root = await temporaryFolder();
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  return root;
}

/** A READY dataset with these files; returns its id. */
export async function datasetOf(api: Api, files: Record<string, Buffer | string>, name: string): Promise<string> {
  const id = await api.newDataset(name);
  for (const [filename, bytes] of Object.entries(files)) await api.upload(id, filename, bytes);
  const { body } = await api.status(id);
  if (body.status !== 'READY') throw new Error(JSON.stringify(body));
  return id;
}

/** The record of a mounted dataset. */
export const recordIn = async (root: string, name: string) =>
  JSON.parse(await readFile(join(root, name, '.mount.json'), 'utf8'));

/** What a mount that was killed leaves in its staging folder. */
export async function leaveStaging(root: string, name: string, files: Record<string, Buffer | string>): Promise<void> {
  const staging = join(root, `.${name}.mounting`);
  await mkdir(staging);
  const recorded = Object.keys(files).map((mounted_name) => ({ mounted_name }));
  const record = { format: 1, dataset_id: 'd1', name, digest: '', source: '', files: recorded };
  await writeFile(join(staging, '.mount.json'), JSON.stringify(record));
  for (const [filename, bytes] of Object.entries(files)) await writeFile(join(staging, filename), bytes);
}

/** The entries of a mount root, without the lock file. */
export async function mountedIn(root: string): Promise<string[]> {
  return (await readdir(root)).filter((name) => name !== '.trainyard-mount.lock').sort();
}

/** Every file below a folder, with its size and times, which show whether it was touched. */
export async function stateOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const states = entries
    .filter((entry) => entry.isFile() && entry.name !== '.trainyard-mount.lock')
    .map(async ({ parentPath, name }) => {
      const path = join(parentPath, name);
      const { mtimeMs, ino } = await stat(path);
      return `${path} ${mtimeMs} ${ino} ${sha256(await readFile(path))}`;
    });
  return (await Promise.all(states)).sort();
}

/** The digest of the files in a mounted folder, without `leaveLitter`'s, computed from their bytes and not from our record. */
export async function digestOfFolder(folder: string): Promise<string> {
  const litter = TRAINER_LITTER.map((path) => path.split('/')[0]);
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.') && !litter.includes(name));
  names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const lines = names.map(async (name) => `${sha256(await readFile(join(folder, name)))}  ${name}\n`);
  return sha256((await Promise.all(lines)).join(''));
}

/** The files that trainers write into a dataset's folder: ai-toolkit and its UI, diffusion-pipe, sd-scripts, SimpleTuner. */
const TRAINER_LITTER: readonly string[] = [
  ...['.aitk_size.json', '_latent_cache/a_0123.safetensors', '_t_e_cache/a_0123.safetensors', '.thumbs/a.jpg.jpg'],
  ...['_clip_vision_cache/a_0123.safetensors', '_controls/a.depth.jpg', 'cache/wan/metadata/grouping_keys.json'],
  ...['a_0512x0512_flux.npz', 'metadata_cache.json', 'aspect_ratio_bucket_indices_a-images.json'],
  'aspect_ratio_bucket_metadata_a-images.json',
];

export async function leaveLitter(folder: string): Promise<void> {
  for (const path of TRAINER_LITTER) {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), 'cached');
  }
}
