import { extensionForFormat, type ImageFormat, mediaTypeOf, stemOf, type VideoFormat } from '../media.js';

/** Why an animation is not converted, as the rest of a sentence that begins with its name. */
export const ANIMATED = 'is animated, so it is not certain which frame to keep. Save one frame as PNG';

/** The name of a file once its content is of this format: as before if the extension fits. */
export function nameForFormat(filename: string, format: ImageFormat | VideoFormat): string {
  return mediaTypeOf(filename)?.format === format ? filename : stemOf(filename) + extensionForFormat(format);
}

/** The names in a folder or dataset, and those that fixes will create. Upper and lower case are one, as on many file systems. */
export class TakenNames {
  readonly #names: { readonly name: string; readonly folded: string; readonly mediaStem: string | undefined }[] = [];

  constructor(names: Iterable<string>) {
    for (const name of names) this.#add(name);
  }

  /**
   * Reserves the name that a file will get.
   *
   * @param options.isConverted a converted image may not share its stem with another image or video either
   * @returns `undefined`; or why the file can't get the name, as the rest of a sentence that begins with the file's name
   */
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
