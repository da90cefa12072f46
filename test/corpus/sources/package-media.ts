import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { EXTENSIONS, type Format, type Original } from '../corpus-file.js';
import { shuffledByHash } from '../seed.js';
import type { UnpackedPackage } from './packages.js';
import { sha256 } from '../../harness/sha256.js';

/** Larger files cost as much as many small ones. */
const MAX_BYTES = 1_500_000;

/** Only smaller files are damaged, so that the copies cost little. */
const MAX_DAMAGED_BYTES = 400_000;

/** Pictures above this size cost the references gigabytes. */
const MAX_PIXELS = 40_000_000;

/** The number of files to take of each format. */
export type Counts = Readonly<Partial<Record<Format, number>>>;

interface Candidate {
  readonly path: string;
  readonly origin: string;
  readonly format: Format;
  readonly extension: string;
}

/** Takes media files from packages, in a random order that is the same in every run. */
export function packageMedia(packages: readonly UnpackedPackage[], counts: Counts): Original[] {
  const left = new Map(Object.entries(counts));
  const picked = new Map<string, Original>();
  for (const { path, ...candidate } of shuffledByHash(packages.flatMap(candidatesIn), ({ origin }) => origin)) {
    const { format } = candidate;
    const { size } = statSync(path);
    const isWanted = (left.get(format) ?? 0) > 0 && size > 0 && size <= MAX_BYTES;
    const bytes = isWanted ? readFileSync(path) : undefined;
    if (bytes === undefined || pixelsOf(bytes, format) > MAX_PIXELS || picked.has(sha256(bytes))) continue;
    left.set(format, left.get(format)! - 1);
    picked.set(sha256(bytes), { ...candidate, bytes, isDamaged: size <= MAX_DAMAGED_BYTES });
  }
  return [...picked.values()];
}

function candidatesIn({ name, folder }: UnpackedPackage): Candidate[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && EXTENSIONS[extname(entry.name).toLowerCase()] !== undefined)
    .map((entry): Candidate => {
      const path = join(entry.parentPath, entry.name);
      const extension = extname(entry.name).toLowerCase();
      return { path, origin: `${name}: ${relative(folder, path)}`, format: EXTENSIONS[extension]!, extension };
    })
    .filter(({ path, format }) => signatureOf(path) === format || format === 'clip');
}

/** The format by the first bytes, so that a file with another extension is not counted as damaged. */
function signatureOf(path: string): Format | undefined {
  const head = Buffer.alloc(16);
  const file = openSync(path, 'r');
  readSync(file, head, 0, 16, 0);
  closeSync(file);
  const text = head.toString('latin1');
  if (text.startsWith('\xff\xd8')) return 'jpeg';
  if (text.startsWith('\x89PNG')) return 'png';
  if (/^RIFF....WEBP/s.test(text)) return 'webp';
  if (/^....ftypavi[fs]/s.test(text)) return 'avif';
  return undefined;
}

/** PNG alone has its size at a fixed place; the others are small enough in practice. */
function pixelsOf(bytes: Buffer, format: Format): number {
  return format === 'png' && bytes.length > 24 ? bytes.readUInt32BE(16) * bytes.readUInt32BE(20) : 0;
}
