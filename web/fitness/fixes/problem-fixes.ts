import type { DatasetFile, Problem } from '../../../src/client/client.js';
import { nameForFormat } from '../../../src/dataset/fix/media-names.js';
import { extensionOf, type ImageFormat, stemOf, type VideoFormat } from '../../../src/dataset/media.js';
import { CONVERT_ADVICE } from '../../../src/dataset/problems.js';
import type { FileToFix } from './conversions.js';

/** What solves a problem in place. */
export interface ProblemFix {
  /** `separate`: a stem and captions of its own for each picture that shares them with another. */
  readonly kind: 'convert' | 'rename' | 'separate' | 'delete' | 'encoding';
  /** What it changes; one file, unless files are separated. */
  readonly files: readonly FileToFix[];
}

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
  if (filename === '') return undefined;
  const stored = files.get(filename);
  const itself = { filename, stored };
  switch (code) {
    case 'NOT_AN_IMAGE':
    case 'NOT_TRAINED_ON':
      return isCertain && message.includes(CONVERT_ADVICE) ? { kind: 'convert', files: [itself] } : undefined;
    case 'CONTENT_DIFFERS': {
      if (stored?.format === undefined) return undefined;
      // The stem stays, and with it the caption.
      const to = nameForFormat(filename, stored.format as ImageFormat | VideoFormat);
      return { kind: 'rename', files: [{ ...itself, to }] };
    }
    case 'SHARED_STEM': {
      const separate = stored === undefined ? [] : separated(stemOf(filename), files);
      return separate.length === 0 ? undefined : { kind: 'separate', files: separate };
    }
    case 'ORPHAN_CAPTION':
      return stored && { kind: 'delete', files: [itself] };
    case 'CAPTION_NOT_UTF8':
    case 'CAPTION_HAS_NUL':
    case 'CAPTION_BOM':
    case 'GARBLED_CAPTION':
      return { kind: 'encoding', files: [itself] };
    default:
      return undefined;
  }
}

function separated(stem: string, files: ReadonlyMap<string, DatasetFile>): FileToFix[] {
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
