import { createHash } from 'node:crypto';
import type { LinkSlot } from './dataset.js';
import { byFilename } from './names.js';

/**
 * The SHA-256, in lower-case hexadecimal, of the lines `sha256  filename\n` in the byte order of the filenames. In the C locale,
 * `sha256sum * | sha256sum` in a mounted folder gives the same, unless extensions were changed to lower case.
 */
export function digestOf(files: readonly DigestFile[]): string {
  const hasSurrogates = files.some(({ filename }) => /[\ud800-\udfff]/.test(filename));
  const hash = createHash('sha256');
  // Comparing code units is much faster, and gives the same order for names without surrogates.
  for (const { filename, upload } of files.toSorted(hasSurrogates ? byBytes : byFilename)) {
    hash.update(`${upload.sha256}  ${filename}\n`);
  }
  return hash.digest('hex');
}

interface DigestFile {
  readonly filename: string;
  readonly upload: { readonly sha256: string };
}

/** The SHA-256 of `DIGEST  files\n` and a line `DIGEST  SLOT\n` for each link; without links, the digest of the files. */
export function digestWithLinks(
  filesDigest: string,
  links: readonly { readonly slot: LinkSlot; readonly digest: string }[],
): string {
  if (links.length === 0) return filesDigest;
  // Alphabetical: the controls, then the mask.
  const sorted = [...links].sort((a, b) => (a.slot < b.slot ? -1 : 1));
  const lines = [`${filesDigest}  files\n`, ...sorted.map(({ slot, digest }) => `${digest}  ${slot}\n`)];
  return createHash('sha256').update(lines.join('')).digest('hex');
}

function byBytes(a: DigestFile, b: DigestFile): number {
  return Buffer.compare(Buffer.from(a.filename), Buffer.from(b.filename));
}
