import type { DatasetCounts } from './dataset.js';
import type { ErrorProblem, ErrorProblemCode } from './problems.js';

/** Why a dataset is FAILED, in one code and one sentence. */
export interface DatasetError {
  readonly code: ErrorProblemCode | 'UPLOAD_REJECTED';
  readonly message: string;
}

/**
 * The failure of a FAILED dataset, from its counts alone. Where all its errors are at hand and there is but one, that one
 * says it best.
 */
export function datasetErrorOf(counts: DatasetCounts, errors: readonly ErrorProblem[] = []): DatasetError {
  const [only, ...others] = errors;
  if (only !== undefined && others.length === 0) return { code: only.code, message: only.message };
  const reasons = reasonsOf(counts);
  return {
    code: reasons[0]?.code ?? 'INSPECTION_FAILED',
    message: `${reasons.map((reason) => reason.message).join('; ')}. Upload what is missing or was refused, or delete it from the dataset.`,
  };
}

function reasonsOf(counts: DatasetCounts): DatasetError[] {
  const reasons: DatasetError[] = [];
  const add = (code: DatasetError['code'], message: string) => reasons.push({ code, message });
  if (counts.rejected > 0)
    add(
      'UPLOAD_REJECTED',
      `${count(counts.rejected, 'file')} refused for what is in ${counts.rejected === 1 ? 'it' : 'them'}`,
    );
  if (counts.pending > 0) add('UPLOAD_EXPIRED', `${count(counts.pending, 'promised upload')} never arrived`);
  if (counts.collisions > 0) {
    add('NAME_COLLISION', `${count(counts.collisions, 'file')} would overwrite another when mounted`);
  }
  if (counts.images + counts.videos === 0) {
    if (counts.captions > 0) add('NO_MEDIA', 'there is no image or video');
  } else if (counts.trainable === 0) {
    add('NO_TRAINABLE_MEDIA', 'none of the images is of a type the trainer reads (JPEG, PNG, WebP)');
  }
  if (counts.uncaptioned > 0) {
    add('MISSING_CAPTION', `${count(counts.uncaptioned, 'image or video', 'images or videos')} without a caption`);
  }
  return reasons;
}

function count(n: number, singular: string, plural = `${singular}s`): string {
  return `${n} ${n === 1 ? singular : plural}`;
}
