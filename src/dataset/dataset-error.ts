import type { Tally } from './dataset.js';
import type { ErrorProblem, ErrorProblemCode } from './problems.js';

/** Why a dataset is FAILED, in one code and one sentence. */
export interface Failure {
  readonly code: ErrorProblemCode | 'UPLOAD_REJECTED';
  readonly message: string;
}

/**
 * The failure of a FAILED dataset, from its tally alone. Where all its errors are at hand and there is but one, that one
 * says it best.
 */
export function failureOf(tally: Tally, errors: readonly ErrorProblem[] = []): Failure {
  const [only, ...others] = errors;
  if (only !== undefined && others.length === 0) return { code: only.code, message: only.message };
  const reasons = reasonsOf(tally);
  return {
    code: reasons[0]?.code ?? 'INSPECTION_FAILED',
    message: `${reasons.map((reason) => reason.message).join('; ')}. Upload what is missing or was refused, or delete it from the dataset.`,
  };
}

function reasonsOf(tally: Tally): Failure[] {
  const reasons: Failure[] = [];
  const add = (code: Failure['code'], message: string) => reasons.push({ code, message });
  if (tally.rejected > 0)
    add(
      'UPLOAD_REJECTED',
      `${count(tally.rejected, 'file')} refused for what is in ${tally.rejected === 1 ? 'it' : 'them'}`,
    );
  if (tally.pending > 0) add('UPLOAD_EXPIRED', `${count(tally.pending, 'promised upload')} never arrived`);
  if (tally.collisions > 0) {
    add('NAME_COLLISION', `${count(tally.collisions, 'file')} would overwrite another when mounted`);
  }
  if (tally.images + tally.videos === 0) {
    if (tally.captions > 0) add('NO_MEDIA', 'there is no image or video');
  } else if (tally.trainable === 0) {
    add('NO_TRAINABLE_MEDIA', 'none of the images is of a type the trainer reads (JPEG, PNG, WebP)');
  }
  if (tally.uncaptioned > 0) {
    add('MISSING_CAPTION', `${count(tally.uncaptioned, 'image or video', 'images or videos')} without a caption`);
  }
  return reasons;
}

function count(n: number, singular: string, plural = `${singular}s`): string {
  return `${n} ${n === 1 ? singular : plural}`;
}
