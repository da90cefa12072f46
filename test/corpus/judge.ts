import type { CorpusFile, Format } from './corpus-file.js';
import type { Reading, Readings } from './readers/readings.js';

/** What the references say of a file. */
export type Truth =
  /** No reader complains. */
  | { readonly class: 'intact' }
  | { readonly class: 'trainer fails' | 'fewer frames' | 'reported'; readonly says: string }
  /** Neither intact nor damaged for certain; counted nowhere. */
  | { readonly class: 'unclear'; readonly says: string };

/** The reader that stands for the trainer, the first that is installed. */
const TRAINER: Readonly<Record<Format, readonly string[]>> = {
  jpeg: ['Pillow'],
  png: ['Pillow'],
  webp: ['Pillow'],
  avif: ['avifdec', 'ffmpeg -xerror'],
  clip: ['OpenCV', 'ffmpeg'],
};

/** Readers whose complaint makes a file damaged. */
const OTHERS: Readonly<Partial<Record<Format, readonly string[]>>> = {
  jpeg: ['djpeg'],
  png: ['ffmpeg -f image2'],
  webp: ['ffmpeg -f image2'],
  avif: ['ffmpeg -xerror'],
  clip: ['ffmpeg -xerror'],
};

/** Judges a file by the readings of it and of its original. */
export function truthOf(file: CorpusFile, original: CorpusFile, readings: Readings): Truth {
  const trainer = TRAINER[file.format].find((name) => readings(original, name) !== undefined);
  const reading = trainer === undefined ? undefined : readings(file, trainer);
  if (trainer === undefined || reading === undefined) return { class: 'unclear', says: 'no reader' };
  const isDamaged = file.damage !== undefined;
  // A reader that can't read the original either says nothing about the damage.
  const canRead = (name: string) => !isDamaged || readings(original, name)?.ok === true;
  if (!canRead(trainer)) return { class: 'unclear', says: `${trainer} can't read the original` };
  if (!reading.ok) return { class: 'trainer fails', says: `${trainer}: ${reading.says}` };
  if (file.format === 'clip') {
    const missing = missingFrames(file, original, readings);
    if (missing !== undefined) return missing;
  }
  for (const name of OTHERS[file.format] ?? []) {
    const other = readings(file, name);
    if (other === undefined || other.ok || !canRead(name) || isAboutOutput(other)) continue;
    const says = `${name}: ${other.says}`;
    // Only libjpeg's warnings are trusted for a file that was found like this; other readers lack features.
    if (!isDamaged && name !== 'djpeg') return { class: 'unclear', says };
    // libjpeg also warns of stray bytes between segments and of unused fields of a scan header, which change nothing.
    const isHarmless = other.pixels !== undefined && other.pixels === readings(original, name)?.pixels;
    if (isHarmless && /extraneous bytes before marker|Invalid SOS parameters/.test(other.says ?? ''))
      return { class: 'unclear', says };
    return { class: 'reported', says };
  }
  // Test images of other programs, which Pillow may read in spite of their damage.
  if (!isDamaged && /(invalid|corrupt|broken|truncated)[^/]*$/.test(file.origin))
    return { class: 'unclear', says: 'damaged, by its name' };
  return { class: 'intact' };
}

/** Frames with odd timestamps are complete, but ffmpeg's muxer complains of them. */
const isAboutOutput = ({ says = '' }: Reading): boolean => says.includes('dts to muxer');

const FRAME_READERS = ['OpenCV', 'ffmpeg'];

/** Whether a reader gets fewer frames of a damaged clip than of its original, and the file is to blame. */
function missingFrames(file: CorpusFile, original: CorpusFile, readings: Readings): Truth | undefined {
  for (const name of FRAME_READERS) {
    const [got, had] = [readings(file, name)?.frames, readings(original, name)?.frames];
    if (got === undefined || had === undefined || got >= had) continue;
    const says = `${name}: ${got} of ${had} frames`;
    const tables = readings(file, 'ffprobe');
    // Cut between two fragments or clusters, a file is a shorter clip, which no reader can tell from an intact one.
    const isShorter =
      readings(file, 'ffmpeg -xerror')?.ok === true &&
      tables !== undefined &&
      (tables.frames ?? 0) <= got &&
      (tables.promised ?? 0) <= got;
    return isShorter ? { class: 'unclear', says: `${says}, well-formed` } : { class: 'fewer frames', says };
  }
  return undefined;
}
