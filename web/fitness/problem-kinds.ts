import type { Problem } from '../../src/client/client.js';
import type { ErrorProblemCode, WarningCode } from '../../src/dataset/problems.js';
import { groupedBy } from '../grouped-by.js';
import type { PairCategory } from '../live/pairs.js';

interface Kind {
  readonly title: string;
  /** The filter of the Files view that shows the files of this kind. */
  readonly filter?: PairCategory;
}

const KINDS: Record<ErrorProblemCode | WarningCode, Kind> = {
  FILE_EMPTY: { title: 'Empty files' },
  NOT_AN_IMAGE: { title: 'Not actually an image' },
  IMAGE_CORRUPT: { title: 'Damaged images' },
  IMAGE_TOO_LARGE: { title: 'Images with more pixels than the trainer opens' },
  NOT_A_VIDEO: { title: 'Not actually a clip' },
  VIDEO_CORRUPT: { title: 'Damaged clips' },
  CAPTION_NOT_UTF8: { title: 'Captions that are not UTF-8' },
  CAPTION_HAS_NUL: { title: 'Captions with zero bytes' },
  INSPECTION_FAILED: { title: 'Could not be checked' },
  WRONG_SIZE: { title: 'Wrong size' },
  BYTES_LOST: { title: 'Missing from storage' },
  UPLOAD_EXPIRED: { title: 'Expired uploads' },
  NAME_COLLISION: { title: 'Would overwrite another file' },
  MISSING_CAPTION: { title: 'Missing captions', filter: 'missing' },
  NO_MEDIA: { title: 'No images or clips' },
  NO_TRAINABLE_MEDIA: { title: 'No file that the trainer reads' },
  BLANK_CAPTION: { title: 'Blank captions', filter: 'blank' },
  CAPTION_BOM: { title: 'Captions that begin with a byte order mark' },
  NOT_A_CAPTION: { title: 'Captions that are another kind of document' },
  GARBLED_CAPTION: { title: 'Captions with garbled accents' },
  CONTENT_DIFFERS: { title: 'Wrong extension' },
  NOT_TRAINED_ON: { title: 'Ignored by the trainer' },
  ANIMATED_IMAGE: { title: 'Animated images' },
  NOT_FULLY_CHECKED: { title: 'Not fully checked' },
  MAY_BE_DAMAGED: { title: 'Ignored images that may be damaged' },
  REPLACEMENT_REJECTED: { title: 'Newer uploads that were rejected' },
  ORPHAN_CAPTION: { title: 'Captions without media', filter: 'orphan' },
  SHARED_STEM: { title: 'Files that share a caption' },
  SIMILAR_STEM: { title: 'Names that differ only in case' },
  MIXED_MEDIA: { title: 'Images and clips mixed' },
};

export interface ProblemGroup extends Kind {
  readonly code: string;
  readonly problems: readonly Problem[];
}

/** Groups problems by kind, the most frequent kind first. */
export function groupProblems(problems: readonly Problem[]): ProblemGroup[] {
  return [...groupedBy(problems, ({ code }) => code)]
    .map(([code, group]) => ({ ...kindOf(code), code, problems: group }))
    .sort((a, b) => b.problems.length - a.problems.length);
}

/** A service newer than this page may send other codes. */
function kindOf(code: string): Kind {
  return code in KINDS ? KINDS[code as keyof typeof KINDS] : { title: code };
}
