import type { CompleteFile } from '../dataset/dataset.js';
import { hasErrno, ServiceError } from '../dataset/errors.js';
import type { Inspection } from '../dataset/inspect/inspection.js';
import { mediaTypeOf } from '../dataset/media.js';
import { errorIn, type ErrorProblem } from '../dataset/problems.js';
import { BlobChanged, blobKeyOf, type FetchOptions, type MeasuredBlob } from '../storage/blobs/blobs.js';
import type { InspectorOptions, ServiceDependencies } from './dependencies.js';
import { CpuBudgetSpent } from './inspection/limited-process.js';

const DISAPPEARED = 'disappeared from the store';

/** Reads a file and compares its SHA-256. The caller discards the blob. @returns the problem if bytes are lost or changed */
export async function fetchIntact<Blob extends Omit<MeasuredBlob, 'path'>>(
  blobs: { fetch(key: string, options: FetchOptions): Promise<Blob | undefined> },
  file: CompleteFile,
  { accountId, signal }: { accountId?: string; signal: AbortSignal },
): Promise<{ blob: Blob } | { problem: ErrorProblem }> {
  const { filename, upload } = file;
  const { sizeBytes, sha256, blobVersion: version } = upload;
  const lost = (reason: string) => {
    const message = `The bytes of ${filename} ${reason} after they had been uploaded. Upload the file again.`;
    return { problem: errorIn(filename, 'BYTES_LOST', message) };
  };
  const limit = { bytes: sizeBytes, message: `The blob of ${filename} has more than ${sizeBytes} bytes.` };
  let blob: Blob | undefined;
  try {
    blob = await blobs.fetch(blobKeyOf(file), { limit, version, accountId, signal });
  } catch (error) {
    signal.throwIfAborted();
    const isLonger = error instanceof ServiceError && error.code === 'too_large';
    if (isLonger || error instanceof BlobChanged) return lost('were changed in the store');
    if (isUnreadable(error)) return lost('became unreadable in the store');
    throw error;
  }
  if (blob === undefined) return lost(DISAPPEARED);
  if (blob.sizeBytes === sizeBytes && blob.sha256 === sha256) return { blob };
  await blob.discard();
  return lost('were changed in the store');
}

/** Whether the bytes disappeared, rather than changed. */
export function hasDisappeared({ code, message }: ErrorProblem): boolean {
  return code === 'BYTES_LOST' && message.includes(DISAPPEARED);
}

/** True for a bad disk sector, and for a folder in the place of a file. */
export function isUnreadable(error: unknown): boolean {
  if (hasErrno(error, 'EISDIR')) return true;
  return hasErrno(error, 'EIO') && (error as NodeJS.ErrnoException).syscall === 'read';
}

/**
 * Inspects a file and decodes the frames of a clip.
 *
 * @returns the inspection without decoded frames, or what the name declares, if `maxSeconds` of processor time were not enough
 */
export async function inspectFile(
  { inspect, decodeClip }: Pick<ServiceDependencies, 'inspect' | 'decodeClip'>,
  { filename, sizeBytes, path }: { filename: string; sizeBytes: number; path: string },
  { maxSeconds, ...given }: InspectorOptions,
): Promise<{ inspection: Inspection; isComplete: boolean }> {
  // A caption is read at the speed of a disk, and its name declares no facts.
  const isCaption = mediaTypeOf(filename)?.kind === 'caption';
  const options = isCaption ? given : { ...given, maxSeconds };
  let inspection: Inspection | undefined;
  try {
    const readsClipFacts = decodeClip === undefined;
    inspection = await inspect({ path, filename, sizeBytes }, { ...options, readsClipFacts });
    if (!inspection.ok || inspection.facts.kind !== 'video') return { inspection, isComplete: true };
    if (decodeClip === undefined) return { inspection, isComplete: true };
    return { inspection: await decodeClip({ path, filename, sizeBytes, inspection }, options), isComplete: true };
  } catch (error) {
    if (!(error instanceof CpuBudgetSpent)) throw error;
    return { inspection: inspection ?? declaredBy(filename), isComplete: false };
  }
}

/** The facts that the name declares. */
function declaredBy(filename: string): Inspection {
  const type = mediaTypeOf(filename);
  if (type === undefined || type.kind === 'caption') throw new Error(`${filename} is no image and no clip.`);
  const { kind, format, contentType } = type;
  const facts = { kind, format };
  return { ok: true, contentType, facts, warnings: [] };
}
