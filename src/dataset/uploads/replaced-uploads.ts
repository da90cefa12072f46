import { type CompleteFile, type DatasetFile, isRetired, type Micros, type StoredFile } from '../dataset.js';
import { type ErrorProblem, warningIn } from '../problems.js';
import { changedMeanwhile } from '../write-condition.js';

/** As `StemGroup`. */
type Files = readonly DatasetFile[];

/**
 * The most replaced uploads of a name: each change to a file reads them. A client that asks for a link again after an upload
 * has failed needs few.
 */
const MAX_REPLACED = 10;

/**
 * Removes the files that are replaced. Presigned uploads stay until the store was polled: it may have answered their clients that
 * the bytes are stored, and accepts them until the link ends.
 */
export function replace(files: Files, isReplaced: (file: DatasetFile) => boolean, at: Micros): Files {
  return files.flatMap((file) => {
    const { upload } = file;
    if (!isReplaced(file)) return [file];
    if (upload.state !== 'pending' || upload.via !== 'presigned') return [];
    return [
      upload.replaced === undefined ? { ...file, upload: { ...upload, replaced: { at, isRetired: false } } } : file,
    ];
  });
}

/** Removes those replaced uploads that are too many: the retired ones first, and the oldest of each. */
export function withoutSurplus(files: Files, isReplaced: (file: DatasetFile) => boolean): Files {
  const retiredFirst = (a: DatasetFile, b: DatasetFile) => Number(isRetired(b.upload)) - Number(isRetired(a.upload));
  const replaced = files.filter(isReplaced).sort((a, b) => retiredFirst(a, b) || a.createdAt - b.createdAt);
  const surplus = replaced.slice(0, -MAX_REPLACED);
  return files.filter((file) => !surplus.includes(file));
}

/**
 * Retires replaced uploads after a poll of the store that began later and found no bytes of them. Removes those that expired by
 * `endedBy`.
 */
export function retire(
  files: Files,
  ids: ReadonlySet<string>,
  { now, endedBy }: { now: Micros; endedBy: Micros },
): Files {
  return files.flatMap((file) => {
    const { upload } = file;
    if (!ids.has(file.id) || upload.state !== 'pending' || upload.replaced === undefined) return [file];
    if ((upload.leaseUntil ?? 0) > now) return [file];
    if (upload.expiresAt <= endedBy) return [];
    const replaced = { ...upload.replaced, isRetired: true };
    return [{ ...file, upload: { ...upload, replaced, leaseUntil: null, leaseToken: null } }];
  });
}

/**
 * A stored upload, with a warning if uploads of other bytes that it replaces were answered with success, and are in no revision;
 * or if a newer one was rejected.
 */
export function withReplaced({ filename, createdAt, upload }: StoredFile, replaced: Files): StoredFile['upload'] {
  const warnings = [];
  for (const { createdAt: otherAt, upload: other } of replaced) {
    if (other.state === 'rejected' && otherAt > createdAt)
      return withRejectedReplacement(upload, filename, other.problem);
    if (other.state !== 'received') continue;
    if (other.sha256 !== upload.sha256) return withRejectedReplacement(upload, filename, changedMeanwhile(filename));
    // Of a presigned upload that was rejected while this one was being checked.
    warnings.push(...other.warnings.filter(({ code }) => code === 'REPLACEMENT_REJECTED'));
  }
  return { ...upload, warnings: [...upload.warnings, ...warnings.slice(0, 1)] };
}

/** Adds the warning that another upload was rejected to the file that stays. */
export function withRejectedReplacement<U extends CompleteFile['upload']>(
  upload: U,
  filename: string,
  problem: ErrorProblem,
): U {
  const message = `Another upload of ${filename} was rejected, so this file is kept: ${problem.message}`;
  const others = upload.warnings.filter(({ code }) => code !== 'REPLACEMENT_REJECTED');
  return { ...upload, warnings: [...others, warningIn(filename, 'REPLACEMENT_REJECTED', message)] };
}
