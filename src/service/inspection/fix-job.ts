import { NotFixable } from '../../dataset/fix/not-fixable.js';
import { exceededText, type ProcessLimits } from './limited-process.js';
import { type InspectionJob, type InspectionPool, ProcessEnded, type Results } from './inspection-pool.js';

/** Identifies the content of a local file, or converts an image into a PNG. @throws NotFixable, also if limits are exceeded; the signal's reason */
export async function runFixJob<T extends 'examine' | 'convert'>(
  pool: InspectionPool,
  job: InspectionJob & { readonly task: T },
  { limits, signal }: { limits: ProcessLimits; signal: AbortSignal },
): Promise<Results[T]> {
  try {
    return await pool.run<T>(job, { accountId: '', limits, signal });
  } catch (cause) {
    if (cause instanceof ProcessEnded) throw new NotFixable(exceededText(cause.reason, limits), { cause });
    const isFaultOfFile =
      cause instanceof Error && ['NotFixable', 'StructureError', 'InspectionError'].includes(cause.name);
    throw isFaultOfFile ? new NotFixable(cause.message, { cause }) : cause;
  }
}
