import { mediaTypeOf, mediaTypeOfContent } from '../../media.js';
import { warningIn } from '../../problems.js';
import type { FileBytes } from '../byte-source.js';
import { contentDiffers, type DetectedContent } from '../detect-content.js';
import type { Inspection } from '../inspection.js';
import { InspectionError } from '../inspection-error.js';
import { requireDeclaredLength } from './declared-length.js';
import type { ClipFacts } from './read-facts.js';

/** The frames are decoded elsewhere (`service/inspection/clip`); a warning says so until then. @throws InspectionError, StructureError */
export async function inspectVideo(
  file: FileBytes,
  named: { filename: string; shown: string; readClipFacts?: ReadClipFacts | undefined },
  content: DetectedContent,
): Promise<Inspection> {
  const { filename, shown, readClipFacts } = named;
  if (content.kind !== 'video') {
    const message = `is ${content.description}, not a video. Upload the video itself under this name.`;
    throw new InspectionError('NOT_A_VIDEO', message);
  }
  const { format } = content;
  requireDeclaredLength(file, format);
  const facts = await readClipFacts?.(file);
  const advice = 'To have every frame checked, install ffmpeg on the machine that checks it.';
  const message = `The frames of ${shown} were not decoded. ${advice}`;
  return {
    ok: true,
    contentType: mediaTypeOfContent(format, filename).contentType,
    facts: { kind: 'video', format, ...facts },
    warnings: [
      ...(mediaTypeOf(filename)?.format === format ? [] : [contentDiffers(named, content)]),
      warningIn(filename, 'NOT_FULLY_CHECKED', message),
    ],
  };
}

export type ReadClipFacts = (file: FileBytes) => Promise<ClipFacts>;
