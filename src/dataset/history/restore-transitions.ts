import type { StoredFile } from '../dataset.js';
import type { StemGroup } from '../upload-transitions.js';
import { storedFileIn } from '../write-condition.js';
import type { FileDifference, VersionedFile } from './revision-states.js';

/**
 * Makes the stored files of a stem those of a revision. Pending and received uploads stay; a rejected upload of a name that
 * gets another file is removed, as `finalize` does.
 *
 * @param target the files of the revision that have this stem
 */
export function restoreStem(group: StemGroup, target: readonly VersionedFile[]): StemGroup {
  const names = new Set(target.map(({ filename }) => filename));
  const kept = group.filter(({ filename, upload }) => upload.state !== 'stored' || names.has(filename));
  const next = target.reduce(putBack, kept);
  return next.length === group.length && next.every((file, i) => file === group[i]) ? group : next;
}

/**
 * Reverses one difference, if the file is as that left it. A file that is as it was before stays, so that a request that is
 * sent twice has the same result.
 *
 * @returns `undefined` if the file was changed since
 */
export function reverse(group: StemGroup, { filename, from, to }: FileDifference): StemGroup | undefined {
  const current = storedFileIn(group, filename)?.upload.sha256;
  if (current === from?.upload.sha256) return group;
  if (current !== to?.upload.sha256) return undefined;
  if (from !== undefined) return putBack(group, from);
  return group.filter((file) => file.upload.state !== 'stored' || file.filename !== filename);
}

/** Makes a file of a revision the stored file of its name. A stored file with the same bytes stays. */
function putBack(group: StemGroup, file: VersionedFile): StemGroup {
  const { filename, upload } = file;
  if (storedFileIn(group, filename)?.upload.sha256 === upload.sha256) return group;
  const isReplaced = (other: StemGroup[number]) =>
    other.filename === filename && (other.upload.state === 'stored' || other.upload.state === 'rejected');
  const { removedIn: _, ...stored } = file;
  return [...group.filter((other) => !isReplaced(other)), stored satisfies StoredFile];
}
