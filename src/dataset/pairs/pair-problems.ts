import type { ErrorProblemCode, WarningCode } from '../problems.js';

/** Problems of a training dataset that are about its controls and its mask. */
const PAIR_CODES: ReadonlySet<string> = new Set<ErrorProblemCode | WarningCode>([
  'MISSING_CONTROL',
  'MISSING_MASK',
  'AMBIGUOUS_CONTROL',
  'AMBIGUOUS_MASK',
  'CONTROL_SIZE',
  'MASK_SIZE',
  'LINKED_NOT_READY',
  'EXTRA_CONTROL',
  'EXTRA_MASK',
  'BLACK_MASK',
  'MASK_NOT_GRAYSCALE',
  'CLIP_CONTROL',
]);

/** Whether it is about the pairs. In a mask dataset, a problem of the same code is about a file. */
export function isPairProblem({ code, filename }: { code: string; filename?: string | undefined }): boolean {
  return filename === undefined && PAIR_CODES.has(code);
}
