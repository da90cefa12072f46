import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as media from '../fixtures/media.js';
import { newRoot } from './mounting.js';

/**
 * A folder of that name with these files, which may be in sub-folders (`control/01.jpg`); removed with the test.
 *
 * @returns its path
 */
export async function folderWith(files: Record<string, Buffer | string>, name = 'wagons'): Promise<string> {
  const folder = join(await newRoot(), name);
  await mkdir(folder);
  await Promise.all(
    Object.entries(files).map(async ([file, bytes]) => {
      await mkdir(dirname(join(folder, file)), { recursive: true });
      await writeFile(join(folder, file), bytes);
    }),
  );
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

/** A folder of pairs: so many targets with captions, and an image of each stem in the other sub-folders. */
export async function editPairsOf(
  count: number,
  subFolders: readonly string[] = ['control'],
): Promise<Record<string, Buffer | string>> {
  const files: Record<string, Buffer | string> = {};
  for (const [name, bytes] of Object.entries(await pairsOf(count))) files[`target/${name}`] = bytes;
  for (const [at, folder] of subFolders.entries()) {
    const images = await imagesOf(count, 1000 * (at + 1));
    for (const [name, bytes] of Object.entries(images)) files[`${folder}/${name}`] = bytes;
  }
  return files;
}

/** So many images without captions, from `01.jpg` on. */
export async function imagesOf(count: number, seed = 100): Promise<Record<string, Buffer>> {
  const entries = Array.from({ length: count }, async (_, i) => {
    return [`${String(i + 1).padStart(2, '0')}.jpg`, await media.jpeg({ seed: seed + i })] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
