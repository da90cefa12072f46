import type { Inspection } from '../../dataset/inspect/inspection.js';
import type { BlobContent } from '../../storage/blobs/blobs.js';
import type { InspectorOptions, ServiceDependencies } from '../dependencies.js';

type InspectDependencies = Pick<ServiceDependencies, 'inspect' | 'decodeClip' | 'expectedDecodeSeconds'>;

/** A file whose bytes are complete. */
export interface FileToInspect {
  readonly filename: string;
  readonly sizeBytes: number;
  readonly content: BlobContent;
}

export interface InspectFileOptions extends InspectorOptions {
  /** A clip whose decode is expected to take longer is not decoded. */
  readonly maxDecodeSeconds: number;
}

/**
 * Inspects a file and, if it is a clip, decodes its frames.
 *
 * @returns `isDecodeDue`: the structure is proved, and the frames are still to be decoded
 */
export async function inspectFile(
  dependencies: InspectDependencies,
  { filename, sizeBytes, content }: FileToInspect,
  { maxDecodeSeconds, ...options }: InspectFileOptions,
): Promise<{ inspection: Inspection; isDecodeDue: boolean }> {
  const { inspect, decodeClip, expectedDecodeSeconds = () => 0 } = dependencies;
  const inspection = await inspect({ ...content, filename, sizeBytes }, options);
  // A decoder needs a local file. A clip that is too large for the spool keeps the warning `NOT_FULLY_CHECKED`.
  const isDecodable = inspection.ok && inspection.facts.kind === 'video' && 'path' in content;
  if (decodeClip === undefined || !isDecodable) return { inspection, isDecodeDue: false };
  const clip = { path: content.path, filename, sizeBytes, inspection };
  if (expectedDecodeSeconds(clip) > maxDecodeSeconds) return { inspection, isDecodeDue: true };
  return { inspection: await decodeClip(clip, options), isDecodeDue: false };
}
