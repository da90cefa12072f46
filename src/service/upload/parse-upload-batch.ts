import { MAX_BATCH_FILES } from '../../api/limits.js';
import type { WriteCondition } from '../../dataset/dataset.js';
import { type FieldProblem, ServiceError } from '../../dataset/errors.js';
import { parseFilename } from '../../dataset/names.js';

/** Errors in `detail`. The errors of a large batch usually have one cause. */
const MAX_REPORTED_ERRORS = 100;

/** The most that `detail` shows of an invalid name. */
const MAX_SHOWN_CHARACTERS = 80;

export interface BatchEntry {
  /** As the client sent it. */
  readonly raw: string;
  /** As stored. */
  readonly filename: string;
  readonly sizeBytes: number;
  readonly condition: WriteCondition | undefined;
}

/** Checks all files of a batch. @throws ServiceError with the code of the first error, and the first 100 errors in `detail` */
export function parseUploadBatch(
  sizes: ReadonlyMap<string, unknown>,
  { maxBytes, conditions }: { maxBytes: number; conditions: ReadonlyMap<string, WriteCondition> },
): BatchEntry[] {
  if (sizes.size > MAX_BATCH_FILES) {
    const message = `The batch has ${sizes.size} files, but at most ${MAX_BATCH_FILES} are allowed. Send several batches.`;
    throw new ServiceError('too_large', message);
  }
  const entries: BatchEntry[] = [];
  const errors: { code: ServiceError['code']; problem: FieldProblem }[] = [];
  const names = new Set<string>();
  for (const [raw, size] of sizes) {
    try {
      const filename = parseFilename(raw);
      const sizeBytes = parseSize(raw, size, maxBytes);
      if (names.has(filename)) {
        const message = `${raw} is in the batch twice, in two Unicode forms of the same name. Send it once.`;
        throw new ServiceError('invalid_name', message);
      }
      names.add(filename);
      entries.push({ raw, filename, sizeBytes, condition: conditions.get(raw) });
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      errors.push({
        code: error.code,
        problem: { path: `filenameToByteSize.${raw.slice(0, MAX_SHOWN_CHARACTERS)}`, message: error.message },
      });
    }
  }
  const [first, ...others] = errors;
  if (first === undefined) return entries;
  const more = others.length === 0 ? '' : ` ${others.length} more files of the batch have errors; see detail.`;
  throw new ServiceError(first.code, `${first.problem.message}${more}`, {
    detail: errors.slice(0, MAX_REPORTED_ERRORS).map((error) => error.problem),
  });
}

function parseSize(raw: string, size: unknown, maxBytes: number): number {
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size <= 0) {
    const given = ['number', 'boolean'].includes(typeof size) ? `${size}` : 'not a number';
    const message = `The size of ${raw} is ${given}; it must be the file's exact size in bytes, at least 1.`;
    throw new ServiceError('invalid_field', message);
  }
  if (size > maxBytes) {
    const message = `${raw} has ${size} bytes; this server accepts files of up to ${maxBytes} bytes.`;
    throw new ServiceError('too_large', message);
  }
  return size;
}
