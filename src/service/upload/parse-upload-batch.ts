import { type FieldProblem, ServiceError } from '../../dataset/errors.js';
import { parseFilename } from '../../dataset/names.js';

/** Enough to see what is wrong; a batch of thousands tends to be wrong in one way. */
const MAX_FAULTS_SHOWN = 100;

/** A batch is one transaction, during which nobody else is served. */
const MAX_BATCH_FILES = 50_000;

export interface BatchEntry {
  /** The name as it was given, byte for byte. */
  readonly raw: string;
  /** The name as it is kept. */
  readonly filename: string;
  readonly sizeBytes: number;
}

/**
 * The files of a batch, all names and sizes checked.
 *
 * @throws ServiceError with the code of the first fault, and all of them in `detail`
 */
export function parseUploadBatch(sizes: ReadonlyMap<string, number>, maxBytes: number): BatchEntry[] {
  if (sizes.size > MAX_BATCH_FILES) {
    const message = `The batch has ${sizes.size} files; at most ${MAX_BATCH_FILES} go into one. Send several.`;
    throw new ServiceError('too_large', message);
  }
  const entries: BatchEntry[] = [];
  const faults: { code: ServiceError['code']; problem: FieldProblem }[] = [];
  const rawNames = new Map<string, string>();
  for (const [raw, sizeBytes] of sizes) {
    try {
      const filename = parseFilename(raw);
      checkSize(raw, sizeBytes, maxBytes);
      checkDouble(raw, rawNames.get(filename));
      rawNames.set(filename, raw);
      entries.push({ raw, filename, sizeBytes });
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      faults.push({ code: error.code, problem: { path: `filenameToByteSize.${raw}`, message: error.message } });
    }
  }
  const [first, ...others] = faults;
  if (first === undefined) return entries;
  const more = others.length === 0 ? '' : ` ${others.length} more of the batch can't be taken either; see detail.`;
  throw new ServiceError(first.code, `${first.problem.message}${more}`, {
    detail: faults.slice(0, MAX_FAULTS_SHOWN).map((fault) => fault.problem),
  });
}

function checkSize(raw: string, sizeBytes: number, maxBytes: number): void {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0) {
    throw new ServiceError(
      'invalid_field',
      `The size of ${raw} is ${sizeBytes}; it must be the file's exact size in bytes, at least 1.`,
    );
  }
  if (sizeBytes > maxBytes) {
    throw new ServiceError('too_large', `${raw} has ${sizeBytes} bytes; this server takes files of up to ${maxBytes}.`);
  }
}

function checkDouble(raw: string, earlier: string | undefined): void {
  if (earlier === undefined) return;
  throw new ServiceError(
    'invalid_name',
    `${raw} is in the batch twice, in different Unicode forms of one name. Send it once.`,
  );
}
