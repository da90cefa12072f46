import { FORMATS, type Format } from '../corpus-file.js';
import { randomFor, shuffledByHash } from '../seed.js';
import { concat } from '../../fixtures/bytes.js';
import { BYTE_DAMAGE, type Damages } from './bytes.js';
import { CLIP_DAMAGE } from './clip.js';
import { JPEG_DAMAGE } from './jpeg.js';
import { PNG_DAMAGE } from './png.js';
import { WEBP_DAMAGE } from './webp.js';

/** Whole files of another kind under a name for media. */
const HTML = '<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>Not Found</body></html>\n';
const POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${'4d7a2146'.repeat(8)}\nsize 123456\n`;
const REPLACED: Damages = {
  'replaced-by-html': () => Buffer.from(HTML),
  'replaced-by-lfs-pointer': () => Buffer.from(POINTER),
  'replaced-by-zeros': (bytes) => Buffer.alloc(bytes.length),
  'one-byte': (bytes) => bytes.subarray(0, 1),
  'mac-resource-fork': () => concat('\0\x05\x16\x07\0\x02\0\0Mac OS X        ', Buffer.alloc(100)),
};

const OF_FORMAT: Readonly<Partial<Record<Format, Damages>>> = {
  jpeg: JPEG_DAMAGE,
  png: PNG_DAMAGE,
  webp: WEBP_DAMAGE,
  avif: CLIP_DAMAGE,
  clip: CLIP_DAMAGE,
};

/** All kinds of damage that a file of this format can get, by name. */
function damageOf(format: Format): Damages {
  return { ...BYTE_DAMAGE, ...OF_FORMAT[format], ...REPLACED };
}

/**
 * Damages each original `copies` times. The kinds take turns over the originals, so that each kind comes as often as every
 * other. What happens to a file depends on its content and the kind alone, not on the other files.
 */
export function* damagedCopies<T extends { readonly format: Format; readonly sha256: string }>(
  originals: readonly T[],
  copies: number,
  bytesOf: (original: T) => Buffer,
): Generator<{ of: T; kind: string; bytes: Buffer }> {
  for (const format of FORMATS) {
    const group = originals.filter((original) => original.format === format);
    const kinds = shuffledByHash(Object.entries(damageOf(format)), ([kind]) => `${format} ${kind}`);
    let turn = 0;
    for (const of of shuffledByHash(group, ({ sha256 }) => sha256)) {
      const bytes = bytesOf(of);
      // A kind that does not apply to a file gives its turn to the next one.
      for (let made = 0, tried = 0; made < copies && tried < kinds.length; tried++) {
        const [kind, damage] = kinds[turn++ % kinds.length]!;
        const damaged = damage(bytes, randomFor(`${of.sha256} ${kind}`));
        if (damaged === undefined || damaged.equals(bytes)) continue;
        made++;
        yield { of, kind, bytes: damaged };
      }
    }
  }
}
