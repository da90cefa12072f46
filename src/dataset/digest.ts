import { createHash } from 'node:crypto';

/**
 * One name for exactly this set of files: the SHA-256, in lower-case hexadecimal, over the lines `sha256  filename\n` in
 * the byte order of the filenames. It is what `sha256sum *` prints in the C locale, so that `sha256sum * | sha256sum` in
 * a mounted folder gives it again wherever the extensions were lower-case already.
 */
export function digestOf(
  files: readonly { readonly filename: string; readonly upload: { readonly sha256: string } }[],
): string {
  const lines = files.map((file) => ({
    name: Buffer.from(file.filename),
    line: `${file.upload.sha256}  ${file.filename}\n`,
  }));
  lines.sort((a, b) => Buffer.compare(a.name, b.name));
  const hash = createHash('sha256');
  for (const { line } of lines) hash.update(line);
  return hash.digest('hex');
}
