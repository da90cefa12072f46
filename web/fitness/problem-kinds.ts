import type { Problem } from '../../src/client/client.js';
import type { ErrorProblemCode, WarningCode } from '../../src/dataset/problems.js';
import { groupedBy } from '../../src/dataset/grouped-by.js';
import type { PairCategory } from '../live/pairs.js';

interface Kind {
  readonly title: string;
  /** The filter of the workbench that shows the files of this kind. */
  readonly filter?: PairCategory;
  /** The search of the workbench that shows them. */
  readonly search?: string;
  /** What to do about all of them, where the message of each does not say it. */
  readonly advice?: string;
}

const CHOOSE_AGAIN = 'Replace each with the same file, or dismiss it.';
const CHOOSE_SOUND = 'Replace each with a sound copy or an export of the original, or dismiss it.';
const WRITE_AGAIN = 'Write the caption in its field above, replace the file, or dismiss it.';

const KINDS: Record<ErrorProblemCode | WarningCode, Kind> = {
  FILE_EMPTY: { title: 'Empty files', advice: CHOOSE_SOUND },
  NOT_AN_IMAGE: { title: 'Not actually an image', advice: CHOOSE_SOUND },
  IMAGE_CORRUPT: { title: 'Damaged images', advice: CHOOSE_SOUND },
  IMAGE_TOO_LARGE: {
    title: 'Images with more pixels than the trainer opens',
    advice: 'Replace each with a smaller copy, or dismiss it.',
  },
  NOT_A_VIDEO: { title: 'Not actually a clip', advice: CHOOSE_SOUND },
  VIDEO_CORRUPT: { title: 'Damaged clips', advice: CHOOSE_SOUND },
  CAPTION_NOT_UTF8: { title: 'Captions that are not UTF-8', advice: WRITE_AGAIN },
  CAPTION_HAS_NUL: { title: 'Captions with zero bytes', advice: WRITE_AGAIN },
  CAPTION_NOT_JSON: { title: 'Structured captions that are not JSON', advice: CHOOSE_AGAIN },
  INSPECTION_FAILED: { title: 'Could not be checked', advice: CHOOSE_AGAIN },
  WRONG_SIZE: { title: 'Wrong size', advice: CHOOSE_AGAIN },
  FILE_CHANGED: { title: 'Changed by another upload', advice: CHOOSE_AGAIN },
  BYTES_LOST: { title: 'Missing from storage', advice: CHOOSE_AGAIN },
  UPLOAD_EXPIRED: { title: 'Expired uploads', advice: CHOOSE_AGAIN },
  NAME_COLLISION: {
    title: 'Would overwrite another file',
    advice: 'Delete one file of each two. The history keeps it.',
  },
  MISSING_CAPTION: { title: 'Missing captions', filter: 'missing' },
  NO_MEDIA: {
    title: 'No images or clips',
    advice: 'Add the images or clips that the captions belong to: drop them anywhere on this page.',
  },
  NO_TRAINABLE_MEDIA: {
    title: 'No file that the trainer reads',
    advice: 'Convert the images below, under “Ignored by the trainer”, or add others.',
  },
  MISSING_CONTROL: { title: 'Missing controls' },
  MISSING_MASK: { title: 'Missing masks' },
  AMBIGUOUS_CONTROL: { title: 'Several controls of one name' },
  AMBIGUOUS_MASK: { title: 'Several masks of one name' },
  CONTROL_SIZE: { title: 'Controls of another shape' },
  MASK_SIZE: { title: 'Masks of another shape' },
  LINKED_NOT_READY: { title: 'Controls or masks that are not ready' },
  BLANK_CAPTION: { title: 'Blank captions', filter: 'blank' },
  CAPTION_BOM: { title: 'Captions that begin with a byte order mark' },
  NOT_A_CAPTION: { title: 'Captions that are another kind of document' },
  GARBLED_CAPTION: { title: 'Captions with garbled accents' },
  CONTENT_DIFFERS: { title: 'Wrong extension' },
  NOT_TRAINED_ON: { title: 'Ignored by the trainer' },
  ANIMATED_IMAGE: { title: 'Animated images' },
  GREYS_OF_16_BITS: { title: 'Greys that trainers read as white' },
  NOT_FULLY_CHECKED: { title: 'Not fully checked' },
  MAY_BE_DAMAGED: { title: 'Ignored images that may be damaged' },
  WRONG_DURATION: { title: 'Clips of a wrong duration' },
  REPLACEMENT_REJECTED: { title: 'Other uploads that were rejected' },
  ORPHAN_CAPTION: { title: 'Captions without media', filter: 'orphan' },
  SHARED_STEM: { title: 'Files that share a caption' },
  SIMILAR_STEM: { title: 'Names that differ only in case' },
  MIXED_MEDIA: { title: 'Images and clips mixed' },
  MIXED_SOUND: { title: 'Clips with and without sound', search: 'is:clip -has:audio' },
  EXTRA_CONTROL: { title: 'Controls without an image' },
  EXTRA_MASK: { title: 'Masks without an image' },
  CLIP_CONTROL: { title: 'Clips as controls' },
  UNUSED_CAPTION: { title: 'Captions that are not used' },
  BLACK_MASK: { title: 'Black masks' },
  MASK_NOT_GRAYSCALE: { title: 'Masks that are not grayscale' },
};

export interface ProblemGroup extends Kind {
  readonly code: string;
  readonly problems: readonly Problem[];
}

/** Groups problems by kind, the most frequent kind first. */
export function groupProblems(problems: readonly Problem[]): ProblemGroup[] {
  // A service newer than this page may send other codes.
  const kinds: Readonly<Record<string, Kind | undefined>> = KINDS;
  return [...groupedBy(problems, ({ code }) => code)]
    .map(([code, group]) => ({ ...(kinds[code] ?? { title: code }), code, problems: group }))
    .sort((a, b) => b.problems.length - a.problems.length);
}
