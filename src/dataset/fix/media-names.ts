import { extensionForFormat, type ImageFormat, mediaTypeOf, stemOf, type VideoFormat } from '../media.js';

/** The rest of a sentence. */
export const ANIMATED = 'is animated, so it is not certain which frame to keep. Save one frame as PNG';

/** Keeps an extension that fits the format. */
export function nameForFormat(filename: string, format: ImageFormat | VideoFormat): string {
  return mediaTypeOf(filename)?.format === format ? filename : stemOf(filename) + extensionForFormat(format);
}

/** Names that exist or that fixes will create; case-insensitive, as many file systems are. */
export class TakenNames {
  readonly #names: { readonly name: string; readonly folded: string; readonly mediaStem: string | undefined }[] = [];

  constructor(names: Iterable<string>) {
    for (const name of names) this.#add(name);
  }

  /** Reserves a name, or returns why not, as the rest of a sentence. A converted image may not share its stem with other media. */
  claim(to: string, { from, isConverted }: { from: string; isConverted: boolean }): string | undefined {
    const [wanted, stem] = [folded(to), folded(stemOf(from))];
    const other = this.#names.find(
      (each) => each.name !== from && (each.folded === wanted || (isConverted && each.mediaStem === stem)),
    );
    if (other !== undefined) {
      const action = isConverted ? 'converted' : 'renamed';
      return `is not ${action} to ${to}, since there is ${other.name} already. Delete or rename one of them`;
    }
    this.#add(to);
    return undefined;
  }

  #add(name: string): void {
    const kind = mediaTypeOf(name)?.kind;
    const isMedia = kind === 'image' || kind === 'video';
    this.#names.push({ name, folded: folded(name), mediaStem: isMedia ? folded(stemOf(name)) : undefined });
  }
}

const folded = (name: string) => name.normalize('NFC').toLowerCase();
