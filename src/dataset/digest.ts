import { createHash } from 'node:crypto';

/**
 * One name for exactly this set of files: the SHA-256, in lower-case hexadecimal, over the lines `sha256  filename\n` in
 * the byte order of the filenames. It is what `sha256sum *` prints in the C locale, so that `sha256sum * | sha256sum` in
 * a mounted folder gives it again wherever the extensions were lower-case already.
 */
export function digestOf(
  files: readonly { readonly filename: string; readonly upload: { readonly sha256: string } }[],
): string {
  const hasSurrogates = files.some(({ filename }) => /[\ud800-\udfff]/.test(filename));
  const sorted = [...files].sort(hasSurrogates ? byBytes : byUnits);
  const lines = sorted.map(({ filename, upload }) => `${upload.sha256}  ${filename}\n`);
  return createHash('sha256').update(lines.join('')).digest('hex');
}

interface Named {
  readonly filename: string;
}

function byBytes(a: Named, b: Named): number {
  return Buffer.compare(Buffer.from(a.filename), Buffer.from(b.filename));
}

/** The same order in a fraction of the time, where there are no surrogates. */
function byUnits(a: Named, b: Named): number {
  return a.filename < b.filename ? -1 : a.filename > b.filename ? 1 : 0;
}
