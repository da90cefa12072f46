import type { ExaminedContent } from '../../dataset/fix/examine-content.js';
import { NotFixable } from '../../dataset/fix/not-fixable.js';
import { CONVERSION_LIMITS, exceededText, limitsOf, type ProcessLimits } from './limited-process.js';
import { type InspectionPool, ProcessEnded } from './inspection-pool.js';

/** Identifies the content of a local file. @throws NotFixable, also if limits are exceeded; the signal's reason */
export function examineInProcess(
  pool: InspectionPool,
  { path, sizeBytes }: { readonly path: string; readonly sizeBytes: number },
  signal: AbortSignal,
): Promise<ExaminedContent> {
  const limits = limitsOf({ kind: 'image', sizeBytes });
  return explained(limits, () => pool.run({ task: 'examine', path }, { accountId: '', signal, limits }));
}

/** Converts a local image into a PNG at `target`. @throws NotFixable; the signal's reason */
export async function convertInProcess(
  pool: InspectionPool,
  { path, target }: { readonly path: string; readonly target: string },
  signal: AbortSignal,
): Promise<void> {
  const limits = CONVERSION_LIMITS;
  await explained(limits, () => pool.run({ task: 'convert', path, target }, { accountId: '', signal, limits }));
}

async function explained<T>(limits: ProcessLimits, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof ProcessEnded) throw new NotFixable(exceededText(cause.reason, limits), { cause });
    const isFaultOfFile =
      cause instanceof Error && ['NotFixable', 'StructureError', 'InspectionError'].includes(cause.name);
    throw isFaultOfFile ? new NotFixable(cause.message, { cause }) : cause;
  }
}
