import { type FieldProblem, ServiceError } from '../../dataset/errors.js';
import { parseFilename } from '../../dataset/names.js';

/** Errors in `detail`. The errors of a large batch usually have one cause. */
const MAX_REPORTED_ERRORS = 100;

/** A batch is one transaction, which blocks all other writes. */
const MAX_BATCH_FILES = 50_000;

export interface BatchEntry {
  /** The name as the client sent it, byte for byte. */
  readonly raw: string;
  /** The name as stored. */
  readonly filename: string;
  readonly sizeBytes: number;
}

/**
 * Checks the names and sizes of all files of a batch.
 *
 * @throws ServiceError with the code of the first error, and the first 100 errors in `detail`
 */
export function parseUploadBatch(sizes: ReadonlyMap<string, number>, maxBytes: number): BatchEntry[] {
  if (sizes.size > MAX_BATCH_FILES) {
    const message = `The batch has ${sizes.size} files, but at most ${MAX_BATCH_FILES} are allowed. Send several batches.`;
    throw new ServiceError('too_large', message);
  }
  const entries: BatchEntry[] = [];
  const errors: { code: ServiceError['code']; problem: FieldProblem }[] = [];
  const names = new Set<string>();
  for (const [raw, sizeBytes] of sizes) {
    try {
      const filename = parseFilename(raw);
      checkSize(raw, sizeBytes, maxBytes);
      if (names.has(filename)) {
        const message = `${raw} is in the batch twice, in two Unicode forms of the same name. Send it once.`;
        throw new ServiceError('invalid_name', message);
      }
      names.add(filename);
      entries.push({ raw, filename, sizeBytes });
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      errors.push({ code: error.code, problem: { path: `filenameToByteSize.${raw}`, message: error.message } });
    }
  }
  const [first, ...others] = errors;
  if (first === undefined) return entries;
  const more = others.length === 0 ? '' : ` ${others.length} more files of the batch have errors; see detail.`;
  throw new ServiceError(first.code, `${first.problem.message}${more}`, {
    detail: errors.slice(0, MAX_REPORTED_ERRORS).map((error) => error.problem),
  });
}

function checkSize(raw: string, sizeBytes: number, maxBytes: number): void {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0) {
    const message = `The size of ${raw} is ${sizeBytes}; it must be the file's exact size in bytes, at least 1.`;
    throw new ServiceError('invalid_field', message);
  }
  if (sizeBytes > maxBytes) {
    const message = `${raw} has ${sizeBytes} bytes; this server accepts files of up to ${maxBytes} bytes.`;
    throw new ServiceError('too_large', message);
  }
}
