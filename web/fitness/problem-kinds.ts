import type { Problem } from '../../src/client/client.js';
import type { ErrorProblemCode, WarningCode } from '../../src/dataset/problems.js';
import type { PairCategory } from '../live/pairs.js';

interface Kind {
  readonly title: string;
  /** The filter of the files that shows all of this kind, where there is one. */
  readonly filter?: PairCategory;
}

const KINDS: Record<ErrorProblemCode | WarningCode, Kind> = {
  FILE_EMPTY: { title: 'Empty files' },
  NOT_AN_IMAGE: { title: 'Called an image, and none' },
  IMAGE_CORRUPT: { title: 'Damaged images' },
  IMAGE_TOO_LARGE: { title: 'Images with more pixels than the trainer opens' },
  NOT_A_VIDEO: { title: 'Called a clip, and none' },
  VIDEO_CORRUPT: { title: 'Damaged clips' },
  CAPTION_NOT_UTF8: { title: 'Captions that are not UTF-8' },
  INSPECTION_FAILED: { title: 'Could not be checked' },
  WRONG_SIZE: { title: 'Arrived in another size than promised' },
  BYTES_LOST: { title: 'Lost after they arrived' },
  UPLOAD_EXPIRED: { title: 'Promised, and never arrived' },
  NAME_COLLISION: { title: 'Would overwrite another file' },
  MISSING_CAPTION: { title: 'Without a caption', filter: 'missing' },
  NO_MEDIA: { title: 'Nothing to train on' },
  NO_TRAINABLE_MEDIA: { title: 'Nothing that the trainer reads' },
  BLANK_CAPTION: { title: 'Blank captions', filter: 'blank' },
  CAPTION_BOM: { title: 'Captions that begin with a byte order mark' },
  CONTENT_DIFFERS: { title: 'Of another type than the name says' },
  NOT_TRAINED_ON: { title: 'Not trained on' },
  ANIMATED_IMAGE: { title: 'Animated images' },
  NOT_FULLY_CHECKED: { title: 'Not checked in full' },
  ORPHAN_CAPTION: { title: 'Captions of nothing', filter: 'orphan' },
  SHARED_STEM: { title: 'Sharing one caption' },
  SIMILAR_STEM: { title: 'Names that differ only in case' },
  MIXED_MEDIA: { title: 'Images and clips mixed' },
};

export interface ProblemGroup extends Kind {
  readonly code: string;
  readonly problems: readonly Problem[];
}

/** Problems of one kind together, the most frequent kind first. */
export function groupProblems(problems: readonly Problem[]): ProblemGroup[] {
  return [...Map.groupBy(problems, ({ code }) => code)]
    .map(([code, group]) => ({ ...kindOf(code), code, problems: group }))
    .sort((a, b) => b.problems.length - a.problems.length);
}

/** A service that is newer than this page may know of more. */
function kindOf(code: string): Kind {
  return code in KINDS ? KINDS[code as keyof typeof KINDS] : { title: code };
}
