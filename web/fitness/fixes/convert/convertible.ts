import type { Problem } from '../../../../src/client/client.js';
import { CONVERT_ADVICE, type ErrorProblemCode, type WarningCode } from '../../../../src/dataset/problems.js';

const CONVERTIBLE: ReadonlySet<string> = new Set<ErrorProblemCode | WarningCode>(['NOT_AN_IMAGE', 'NOT_TRAINED_ON']);

/** Which frame to keep is not certain, and what is damaged would lose pixels without a word. */
const NOT_CERTAIN: ReadonlySet<string> = new Set<WarningCode>(['ANIMATED_IMAGE', 'MAY_BE_DAMAGED']);

/** The files among these problems that become images for the trainer by a conversion. */
export function convertibleNames(problems: readonly Problem[]): ReadonlySet<string> {
  const left = new Set(problems.flatMap(({ code, filename }) => (NOT_CERTAIN.has(code) ? (filename ?? []) : [])));
  return new Set(
    problems.flatMap(({ code, filename, message }) =>
      filename !== undefined && CONVERTIBLE.has(code) && message.includes(CONVERT_ADVICE) && !left.has(filename)
        ? filename
        : [],
    ),
  );
}

/** Whether a conversion fixes this problem, of those that a file may have. */
export function isConvertible(
  problem: Problem,
  names: ReadonlySet<string>,
): problem is Problem & { readonly filename: string } {
  return problem.filename !== undefined && CONVERTIBLE.has(problem.code) && names.has(problem.filename);
}
