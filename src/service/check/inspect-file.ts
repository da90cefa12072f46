import type { Inspection } from '../../dataset/inspect/inspection.js';
import { mediaTypeOf } from '../../dataset/media.js';
import type { BlobContent } from '../../storage/blobs/blobs.js';
import type { InspectorOptions, ServiceDependencies } from '../dependencies.js';
import { CpuBudgetSpent } from '../limits/cpu-budget.js';

type InspectDependencies = Pick<ServiceDependencies, 'inspect' | 'decodeClip'>;

/** A file whose bytes are complete. */
export interface FileToInspect {
  readonly filename: string;
  readonly sizeBytes: number;
  readonly content: BlobContent;
}

export interface InspectFileOptions extends Omit<InspectorOptions, 'budget'> {
  /** The processor time after which the inspection ends without a result, since a client waits; by default it has no such end. */
  readonly maxSeconds?: number;
}

/**
 * Inspects a file and, if it is a clip, decodes its frames.
 *
 * @returns `isComplete`: false if it was ended after `maxSeconds`. The inspection is then the one without decoded frames, if that
 * has ended, or else what the name declares.
 */
export async function inspectFile(
  { inspect, decodeClip }: InspectDependencies,
  { filename, sizeBytes, content }: FileToInspect,
  { maxSeconds, ...given }: InspectFileOptions,
): Promise<{ inspection: Inspection; isComplete: boolean }> {
  // A caption is read at the speed of a disk, and its name declares no facts.
  const isCaption = mediaTypeOf(filename)?.kind === 'caption';
  const budget = maxSeconds === undefined || isCaption ? undefined : { secondsLeft: maxSeconds };
  const options = { ...given, budget };
  // A decoder needs a local file. A clip that is too large for the spool keeps the warning `NOT_FULLY_CHECKED`.
  const path = decodeClip && 'path' in content ? content.path : undefined;
  let known: Inspection | undefined;
  try {
    const readsClipFacts = path === undefined;
    const inspection = await inspect({ ...content, filename, sizeBytes }, { ...options, readsClipFacts });
    const isClip = inspection.ok && inspection.facts.kind === 'video';
    if (!isClip || decodeClip === undefined || path === undefined) return { inspection, isComplete: true };
    known = inspection;
    return { inspection: await decodeClip({ path, filename, sizeBytes, inspection }, options), isComplete: true };
  } catch (error) {
    if (!(error instanceof CpuBudgetSpent)) throw error;
    return { inspection: known ?? declaredBy(filename), isComplete: false };
  }
}

/** What the name of an image or a clip declares. */
function declaredBy(filename: string): Inspection {
  const type = mediaTypeOf(filename);
  if (type === undefined || type.kind === 'caption') throw new Error(`${filename} is no image and no clip.`);
  const { kind, format, contentType } = type;
  const facts = { kind, format };
  return { ok: true, contentType, facts, warnings: [] };
}
