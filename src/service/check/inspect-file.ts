import type { Inspection } from '../../dataset/inspect/inspection.js';
import { mediaTypeOf } from '../../dataset/media.js';
import type { BlobContent } from '../../storage/blobs/blobs.js';
import type { InspectorOptions, ServiceDependencies } from '../dependencies.js';
import { CpuBudgetSpent } from '../inspection/limited-process.js';

/**
 * Inspects a file and decodes the frames of a clip.
 *
 * @returns the inspection without decoded frames, or what the name declares, if `maxSeconds` of processor time were not enough
 */
export async function inspectFile(
  { inspect, decodeClip }: Pick<ServiceDependencies, 'inspect' | 'decodeClip'>,
  { filename, sizeBytes, content }: { filename: string; sizeBytes: number; content: BlobContent },
  { maxSeconds, ...given }: InspectorOptions,
): Promise<{ inspection: Inspection; isComplete: boolean }> {
  // A caption is read at the speed of a disk, and its name declares no facts.
  const isCaption = mediaTypeOf(filename)?.kind === 'caption';
  const options = isCaption ? given : { ...given, maxSeconds };
  const { path } = content;
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
