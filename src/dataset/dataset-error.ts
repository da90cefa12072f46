import type { Dataset } from './dataset.js';
import { plainCount, type ErrorProblem, type ErrorProblemCode } from './problems.js';

export interface DatasetError {
  readonly code: ErrorProblemCode | 'UPLOAD_REJECTED';
  readonly message: string;
}

/** Why a dataset is FAILED, from its counts and links. @param errors all its errors, if known: a single one is the reason */
export function datasetErrorOf(
  dataset: Pick<Dataset, 'role' | 'counts' | 'links'>,
  errors: readonly ErrorProblem[] = [],
): DatasetError {
  const [only, ...others] = errors;
  if (only !== undefined && others.length === 0) return { code: only.code, message: only.message };
  const reasons = reasonsOf(dataset);
  if (reasons.length === 0) {
    return { code: 'LINKED_NOT_READY', message: 'A control or mask dataset of it is not READY. Repair that one.' };
  }
  return {
    code: reasons[0]?.code ?? 'INSPECTION_FAILED',
    message: `${reasons.map((reason) => reason.message).join('; ')}. Upload the missing and the rejected files again, or delete them.`,
  };
}

function reasonsOf({ role, counts, links }: Pick<Dataset, 'role' | 'counts' | 'links'>): DatasetError[] {
  const reasons: DatasetError[] = [];
  const add = (code: DatasetError['code'], message: string) => reasons.push({ code, message });
  if (counts.rejected > 0) {
    add('UPLOAD_REJECTED', `${plainCount(counts.rejected, 'file was', 'files were')} rejected because of the content`);
  }
  if (counts.pending > 0) {
    add('UPLOAD_EXPIRED', `${plainCount(counts.pending, 'upload was', 'uploads were')} not completed in time`);
  }
  if (counts.collisions > 0) {
    add('NAME_COLLISION', `${plainCount(counts.collisions, 'file')} would overwrite another when mounted`);
  }
  if (counts.images + counts.videos === 0) {
    if (counts.captions > 0) add('NO_MEDIA', 'the dataset has no image or video');
  } else if (counts.trainable === 0) {
    const what = role === 'mask' ? 'no file is an image' : 'no image is';
    add('NO_TRAINABLE_MEDIA', `${what} of a type that the trainer reads (JPEG, PNG, WebP)`);
  }
  if (counts.uncaptioned > 0) {
    add(
      'MISSING_CAPTION',
      `${plainCount(counts.uncaptioned, 'image or video has', 'images or videos have')} no caption`,
    );
  }
  if (counts.unpaired > 0) {
    const isMask = links.every(({ slot }) => slot === 'mask');
    const isEither = !isMask && links.some(({ slot }) => slot === 'mask');
    const [one, many] = isEither
      ? ['control or mask', 'controls or masks']
      : isMask
        ? ['mask', 'masks']
        : ['control', 'controls'];
    const code = isMask ? 'MISSING_MASK' : 'MISSING_CONTROL';
    add(code, `${plainCount(counts.unpaired, `${one} is`, `${many} are`)} missing or not usable`);
  }
  return reasons;
}
