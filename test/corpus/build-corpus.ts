import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CorpusFile, Original } from './corpus-file.js';
import { damagedCopies } from './damage/damage.js';
import { sha256 } from '../harness/sha256.js';

/**
 * Writes the originals and their damaged copies into the cache folder. Names contain a hash of the content, so that files of an
 * earlier run stay valid.
 *
 * @param copiesOf damaged copies of each original; a format with few originals gets more of each
 */
export function buildCorpus(
  cache: string,
  originals: readonly Original[],
  copiesOf: (original: CorpusFile) => number,
): CorpusFile[] {
  const manifest = new Map<string, CorpusFile>();
  const damageable: CorpusFile[] = [];
  for (const { format, extension, origin, bytes, isDamaged } of originals) {
    const digest = sha256(bytes);
    const path = `files/${format}/${digest.slice(0, 12)}${extension}`;
    if (manifest.has(path)) continue;
    const file: CorpusFile = { path, format, sha256: digest, sizeBytes: bytes.length, origin };
    manifest.set(path, file);
    store(cache, path, bytes);
    if (isDamaged) damageable.push(file);
  }
  for (const copies of new Set(damageable.map(copiesOf))) {
    const group = damageable.filter((file) => copiesOf(file) === copies);
    for (const { of, kind, bytes } of damagedCopies(group, copies, (file) => readFileSync(join(cache, file.path)))) {
      const path = of.path.replace(/\.(\w+)$/, `.${kind}.$1`);
      const { format, origin } = of;
      const damage = { kind, of: of.path };
      manifest.set(path, { path, format, sha256: sha256(bytes), sizeBytes: bytes.length, origin, damage });
      store(cache, path, bytes);
    }
  }
  return [...manifest.values()];
}

function store(cache: string, path: string, bytes: Buffer): void {
  const target = join(cache, path);
  if (existsSync(target)) return;
  mkdirSync(join(target, '..'), { recursive: true });
  writeFileSync(`${target}.part`, bytes);
  renameSync(`${target}.part`, target);
}
