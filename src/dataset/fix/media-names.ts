import { extensionForFormat, type ImageFormat, mediaTypeOf, stemOf, type VideoFormat } from '../media.js';

/** The rest of a sentence. */
export const ANIMATED = 'is animated, so it is not certain which frame to keep. Save one frame as PNG';

/** Keeps an extension that fits the format. */
export function nameForFormat(filename: string, format: ImageFormat | VideoFormat): string {
  return mediaTypeOf(filename)?.format === format ? filename : stemOf(filename) + extensionForFormat(format);
}

/** Names that exist or that fixes will create; case-insensitive, as many file systems are. */
export class TakenNames {
  readonly #names = new Map<string, string[]>();
  /** Names of images and clips by their stems. */
  readonly #media = new Map<string, string[]>();

  constructor(names: Iterable<string>) {
    for (const name of names) this.#add(name);
  }

  /** Reserves a name, or returns why not, as the rest of a sentence. A converted image may not share its stem with other media. */
  claim(to: string, { from, isConverted }: { from: string; isConverted: boolean }): string | undefined {
    const twins = isConverted ? this.#media.get(folded(stemOf(from))) : undefined;
    const other = [...(this.#names.get(folded(to)) ?? []), ...(twins ?? [])].find((name) => name !== from);
    if (other !== undefined) {
      const action = isConverted ? 'converted' : 'renamed';
      return `is not ${action} to ${to}, since there is ${other} already. Delete or rename one of them`;
    }
    this.#add(to);
    return undefined;
  }

  #add(name: string): void {
    const kind = mediaTypeOf(name)?.kind;
    addTo(this.#names, folded(name), name);
    if (kind === 'image' || kind === 'video') addTo(this.#media, folded(stemOf(name)), name);
  }
}

function addTo(names: Map<string, string[]>, key: string, name: string): void {
  const same = names.get(key);
  if (same === undefined) names.set(key, [name]);
  else same.push(name);
}

const folded = (name: string) => name.normalize('NFC').toLowerCase();
