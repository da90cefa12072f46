import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { EXTENSIONS, type Format, type Original } from '../corpus-file.js';
import { groupedBy, sha256Of, shuffledByHash } from '../seed.js';
import type { UnpackedPackage } from './packages.js';

/** Larger files are taken in small numbers, since each costs as much as many small ones. */
const LARGE_BYTES = 1_500_000;
const MAX_BYTES = 20_000_000;

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

/** Takes media files from packages: as many packages as possible, in a random order that is the same in every run. */
export function packageMedia(packages: readonly UnpackedPackage[], counts: Counts): Original[] {
  const perFormat = new Map<Format, Candidate[][]>();
  for (const one of packages) {
    const candidates = groupedBy(
      shuffledByHash(candidatesIn(one), ({ origin }) => origin),
      ({ format }) => format,
    );
    for (const [format, list] of candidates) perFormat.set(format, [...(perFormat.get(format) ?? []), list]);
  }
  const originals: Original[] = [];
  for (const [format, lists] of perFormat) originals.push(...pick(lists, counts[format] ?? 0));
  return originals;
}

/** Takes one file of each list in turn until there are `count`. */
function pick(lists: readonly Candidate[][], count: number): Original[] {
  const picked = new Map<string, Original>();
  let largeLeft = Math.ceil(count / 12);
  for (let turn = 0; picked.size < count && lists.some((list) => turn < list.length); turn++) {
    for (const list of lists) {
      const candidate = list[turn];
      if (candidate === undefined || picked.size === count) continue;
      const { size } = statSync(candidate.path);
      if (size > MAX_BYTES || size === 0) continue;
      if (size > LARGE_BYTES && largeLeft-- <= 0) continue;
      const bytes = readFileSync(candidate.path);
      if (pixelsOf(bytes, candidate.format) > MAX_PIXELS) continue;
      const { format, extension, origin } = candidate;
      picked.set(sha256Of(bytes), { format, extension, origin, bytes, isDamaged: size <= MAX_DAMAGED_BYTES });
    }
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
