import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import * as media from '../fixtures/media.js';
import { temporaryFolder } from './server.js';

/**
 * A folder of that name with these files, removed with the test.
 *
 * @returns its path
 */
export async function folderWith(files: Record<string, Buffer | string>, name = 'wagons'): Promise<string> {
  const parent = await temporaryFolder();
  onTestFinished(() => rm(parent, { recursive: true, force: true }));
  const folder = join(parent, name);
  await mkdir(folder);
  await Promise.all(Object.entries(files).map(([file, bytes]) => writeFile(join(folder, file), bytes)));
  return folder;
}

/** So many images, `01.jpg` and so on, each with its caption. */
export async function pairsOf(count: number): Promise<Record<string, Buffer | string>> {
  const files: Record<string, Buffer | string> = {};
  for (let seed = 1; seed <= count; seed++) {
    const stem = String(seed).padStart(2, '0');
    files[`${stem}.jpg`] = await media.jpeg({ seed });
    files[`${stem}.txt`] = `wagon ${seed}`;
  }
  return files;
}
