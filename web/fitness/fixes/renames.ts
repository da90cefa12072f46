import type { DatasetFile, Problem } from '../../../src/client/client.js';
import { nameForFormat } from '../../../src/dataset/fix/media-names.js';
import { extensionOf, type ImageFormat, stemOf, type VideoFormat } from '../../../src/dataset/media.js';
import type { ImageToConvert } from './convert/conversions.js';

/**
 * The new names that solve a problem: the extension of the content, or a stem and captions of its own for each picture that
 * shares them with another. Empty if names do not solve it.
 *
 * @param files of the dataset, by name
 */
export function renamesFor(
  { code, filename = '' }: Problem,
  files: ReadonlyMap<string, DatasetFile>,
): ImageToConvert[] {
  const stored = files.get(filename);
  if (stored === undefined) return [];
  if (code === 'SHARED_STEM') return separated(stemOf(filename), files);
  if (code !== 'CONTENT_DIFFERS' || stored.format === undefined) return [];
  // The stem stays, and with it the caption.
  return [{ filename, stored, to: nameForFormat(filename, stored.format as ImageFormat | VideoFormat) }];
}

function separated(stem: string, files: ReadonlyMap<string, DatasetFile>): ImageToConvert[] {
  const own = [...files.values()].filter(({ filename }) => stemOf(filename) === stem);
  const captions = own.filter(({ kind }) => kind === 'caption');
  const taken = new Set([...files.keys()].map((name) => stemOf(name).toLowerCase()));
  // The first picture keeps the name.
  const others = own.filter(({ kind }) => kind !== 'caption').slice(1);
  return others.flatMap((stored) => {
    let number = 2;
    while (taken.has(`${stem}_${number}`.toLowerCase())) number++;
    const next = `${stem}_${number}`;
    taken.add(next.toLowerCase());
    const renamed = { filename: stored.filename, stored, to: next + extensionOf(stored.filename) };
    // First, so that no picture is without a caption in between.
    const copied = captions.map((caption) => {
      const { filename } = caption;
      return { filename, stored: caption, to: next + filename.slice(stem.length), isCopied: true };
    });
    return [...copied, renamed];
  });
}
