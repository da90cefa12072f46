import type { DatasetFile, Problem } from '../../../src/client/client.js';
import { nameForFormat } from '../../../src/dataset/fix/media-names.js';
import { extensionOf, type ImageFormat, stemOf, type VideoFormat } from '../../../src/dataset/media.js';
import { CONVERT_ADVICE } from '../../../src/dataset/problems.js';
import type { ImageToConvert } from './conversions.js';

/** What solves a problem in place. */
export type ProblemFix =
  /** `separate`: a stem and captions of its own for each picture that shares them with another. */
  | { readonly kind: 'convert' | 'rename' | 'separate'; readonly images: readonly ImageToConvert[] }
  | { readonly kind: 'delete'; readonly file: DatasetFile }
  /** Without `file`: of an upload that was rejected. */
  | { readonly kind: 'encoding'; readonly filename: string; readonly file: DatasetFile | undefined };

/**
 * What solves each problem; most problems have nothing.
 *
 * @param files of the dataset, by name
 */
export function fixesOf(problems: readonly Problem[], files: ReadonlyMap<string, DatasetFile>) {
  // Which frame to keep is not certain, and what is damaged would lose pixels without a word.
  const uncertain = new Set(
    problems.flatMap(({ code, filename }) =>
      code === 'ANIMATED_IMAGE' || code === 'MAY_BE_DAMAGED' ? (filename ?? []) : [],
    ),
  );
  const fixes = new Map<Problem, ProblemFix>();
  for (const problem of problems) {
    const fix = fixOf(problem, { files, isCertain: !uncertain.has(problem.filename ?? '') });
    if (fix !== undefined) fixes.set(problem, fix);
  }
  return fixes;
}

function fixOf(
  { code, filename = '', message }: Problem,
  { files, isCertain }: { readonly files: ReadonlyMap<string, DatasetFile>; readonly isCertain: boolean },
): ProblemFix | undefined {
  const stored = files.get(filename);
  switch (code) {
    case 'NOT_AN_IMAGE':
    case 'NOT_TRAINED_ON':
      return filename !== '' && isCertain && message.includes(CONVERT_ADVICE)
        ? { kind: 'convert', images: [{ filename, stored }] }
        : undefined;
    case 'CONTENT_DIFFERS': {
      if (stored?.format === undefined) return undefined;
      // The stem stays, and with it the caption.
      const to = nameForFormat(filename, stored.format as ImageFormat | VideoFormat);
      return { kind: 'rename', images: [{ filename, stored, to }] };
    }
    case 'SHARED_STEM': {
      const images = stored === undefined ? [] : separated(stemOf(filename), files);
      return images.length === 0 ? undefined : { kind: 'separate', images };
    }
    case 'ORPHAN_CAPTION':
      return stored && { kind: 'delete', file: stored };
    case 'CAPTION_NOT_UTF8':
    case 'CAPTION_HAS_NUL':
    case 'CAPTION_BOM':
    case 'GARBLED_CAPTION':
      return filename === '' ? undefined : { kind: 'encoding', filename, file: stored };
    default:
      return undefined;
  }
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
