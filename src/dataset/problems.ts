/** An error keeps the dataset from READY, a warning does not. */
export type ErrorProblemCode =
  | 'FILE_EMPTY'
  | 'NOT_AN_IMAGE'
  | 'IMAGE_CORRUPT'
  | 'IMAGE_TOO_LARGE'
  | 'NOT_A_VIDEO'
  | 'VIDEO_CORRUPT'
  | 'CAPTION_NOT_UTF8'
  | 'CAPTION_HAS_NUL'
  | 'CAPTION_NOT_JSON'
  | 'INSPECTION_FAILED'
  | 'WRONG_SIZE'
  | 'FILE_CHANGED'
  | 'BYTES_LOST'
  | 'UPLOAD_EXPIRED'
  | 'NAME_COLLISION'
  | 'MISSING_CAPTION'
  | 'NO_MEDIA'
  | 'NO_TRAINABLE_MEDIA'
  | 'MISSING_CONTROL'
  | 'MISSING_MASK'
  | 'AMBIGUOUS_CONTROL'
  | 'AMBIGUOUS_MASK'
  | 'CONTROL_SIZE'
  | 'MASK_SIZE'
  | 'LINKED_NOT_READY';

export type WarningCode =
  | 'BLANK_CAPTION'
  | 'CAPTION_BOM'
  | 'NOT_A_CAPTION'
  | 'GARBLED_CAPTION'
  | 'CONTENT_DIFFERS'
  | 'NOT_TRAINED_ON'
  | 'ANIMATED_IMAGE'
  | 'GREYS_OF_16_BITS'
  | 'NOT_FULLY_CHECKED'
  | 'MAY_BE_DAMAGED'
  | 'WRONG_DURATION'
  | 'REPLACEMENT_REJECTED'
  | 'ORPHAN_CAPTION'
  | 'SHARED_STEM'
  | 'SIMILAR_STEM'
  | 'MIXED_MEDIA'
  | 'MIXED_SOUND'
  | 'EXTRA_CONTROL'
  | 'EXTRA_MASK'
  | 'CONTROL_SIZE'
  | 'MASK_SIZE'
  | 'CLIP_CONTROL'
  | 'UNUSED_CAPTION'
  | 'BLACK_MASK'
  | 'MASK_NOT_GRAYSCALE';

export interface ErrorProblem {
  readonly severity: 'error';
  readonly code: ErrorProblemCode;
  readonly filename?: string;
  /** Names the file, what is wrong with it, and what to do. */
  readonly message: string;
}

export interface Warning {
  readonly severity: 'warning';
  readonly code: WarningCode;
  readonly filename?: string;
  readonly message: string;
}

export type Problem = ErrorProblem | Warning;

/** The codes of pairs, as `EXTRA_MASK` and `LINKED_NOT_READY`. */
const PAIR_CODE = /CONTROL|MASK|^LINKED/;

/** About controls or a mask. In a mask dataset, a problem of the same code is about a file. */
export function isPairProblem({ code, filename }: { code: string; filename?: string | undefined }): boolean {
  return filename === undefined && PAIR_CODE.test(code);
}

/** For what `--fix` can solve without guessing. */
export const FIX_ADVICE = 'The command "trainyard check FOLDER --fix" does that.';

/** The beginning of advice for an image that the trainer does not read. */
export const CONVERT_ADVICE = 'Convert it';

const MAX_LISTED_NAMES = 10;

/** Up to ten names, and how many others there are. */
export function listedNames(names: readonly string[], between = ', '): string {
  const more = names.length - MAX_LISTED_NAMES;
  if (more <= 0) return names.join(between);
  return `${names.slice(0, MAX_LISTED_NAMES).join(', ')} and ${more.toLocaleString('en-US')} more`;
}

export function errorIn(filename: string, code: ErrorProblemCode, message: string): ErrorProblem {
  return { severity: 'error', code, filename, message };
}

export function warningIn(filename: string, code: WarningCode, message: string): Warning {
  return { severity: 'warning', code, filename, message };
}

/** `1 file`, `1200 files` */
export function plainCount(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** `1 file`, `1,200 files` */
export function numbered(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}
