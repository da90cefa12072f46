import { extensionOf, MEDIA } from '../../media.js';
import { type Warning, warningIn } from '../../problems.js';
import type { FileBytes } from '../byte-source.js';
import { contentDiffers } from '../content-differs.js';
import type { Inspection } from '../inspection.js';
import { InspectionError } from '../inspection-error.js';
import type { DetectedContent, VideoFormat } from '../detect-content.js';
import { checkLegacy } from './legacy.js';
import { readMatroska } from './matroska.js';
import type { Movie } from './movie.js';
import { readMp4 } from './mp4.js';
import { describeVideo } from './video-facts.js';

/** Extensions under which a container is what its name says. `.m4v` is MP4 by another name. */
const EXTENSIONS: Record<VideoFormat, readonly (keyof typeof MEDIA)[]> = {
  mp4: ['.mp4', '.m4v'],
  mov: ['.mov'],
  webm: ['.webm'],
  mkv: ['.mkv'],
  avi: ['.avi'],
  wmv: ['.wmv'],
  flv: ['.flv'],
};

const WALKS: Partial<Record<VideoFormat, (file: FileBytes) => Movie>> = {
  mp4: readMp4,
  mov: readMp4,
  webm: readMatroska,
  mkv: readMatroska,
};

/** Inspects a file whose extension is a video's. @throws Fault, Damage, and the operating system's errors. */
export async function inspectVideo(
  file: FileBytes,
  named: { filename: string; shown: string },
  content: DetectedContent,
): Promise<Inspection> {
  const { filename, shown } = named;
  if (content.kind !== 'video') {
    throw new InspectionError(
      'NOT_A_VIDEO',
      `is ${content.words}, not a video. Upload the video itself under this name.`,
    );
  }
  const { format } = content;
  const extensions = EXTENSIONS[format];
  const extension = extensionOf(filename);
  const warnings: Warning[] = [];
  const matches = extensions.some((each) => each === extension);
  if (!matches) warnings.push(contentDiffers(named, content.words));
  const contentType = MEDIA[extensions.find((each) => each === extension) ?? extensions[0]!].contentType;
  const walk = WALKS[format];
  if (walk === undefined) {
    checkLegacy(file, format);
    const advice = 'Convert it to MP4 to have all of it checked.';
    const message = `${shown} is ${content.words}, of which only the signature could be checked. ${advice}`;
    warnings.push(warningIn(filename, 'NOT_FULLY_CHECKED', message));
    return { ok: true, contentType, facts: { kind: 'video', format }, warnings };
  }
  const movie = walk(file);
  if (!movie.tracks.some(({ kind }) => kind === 'video')) {
    throw new InspectionError(
      'NOT_A_VIDEO',
      'has no video track, so there is nothing to train on. Upload a file with a picture.',
    );
  }
  const facts = await describeVideo(file, movie);
  return { ok: true, contentType, facts: { kind: 'video', format, ...facts }, warnings };
}
