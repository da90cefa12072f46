import type { DatasetFile, ReceivedFile, StoredFile, Upload } from './dataset.js';
import type { Inspection } from './inspect/inspection.js';
import { type StemGroup, withRejectedReplacement, withReplaced } from './upload-transitions.js';
import { changedMeanwhile, meetsCondition, storedFileIn } from './write-condition.js';

/*
 * Transitions of files that are checked in the background. Each returns `undefined`, and changes nothing, if the file was checked,
 * replaced or removed meanwhile.
 */

type RejectedUpload = Extract<Upload, { state: 'rejected' }>;

/** Stores the file in place of older ones of its name, or rejects it if its condition is no longer met. */
export function acceptReceived(group: StemGroup, id: string, stored: StoredFile['upload']): StemGroup | undefined {
  const received = receivedIn(group, id);
  if (received === undefined) return undefined;
  const { filename } = received;
  if (!meetsCondition(received.upload.condition, storedFileIn(group, filename))) {
    const { finalizedAt } = stored;
    return rejectReceived(group, id, { state: 'rejected', problem: changedMeanwhile(filename), finalizedAt });
  }
  // A presigned upload was rejected during the check.
  const kept = received.upload.warnings.filter(({ code }) => code === 'REPLACEMENT_REJECTED');
  const warned = { ...stored, warnings: [...stored.warnings, ...kept] };
  const isReplaced = (file: DatasetFile) => file.filename === filename && isReplacedBy(file, received);
  const upload = withReplaced({ ...received, upload: warned }, group.filter(isReplaced));
  return withUpload(
    group.filter((file) => !isReplaced(file)),
    received,
    upload,
  );
}

/** A stored file of the name stays, with a warning, since the client's answer did not report the rejection. */
export function rejectReceived(group: StemGroup, id: string, rejected: RejectedUpload): StemGroup | undefined {
  const received = receivedIn(group, id);
  if (received === undefined) return undefined;
  const { filename } = received;
  const stored = storedIn(group, (file) => file.filename === filename);
  if (stored !== undefined) {
    const others = group.filter((file) => file !== received);
    return withUpload(others, stored, withRejectedReplacement(stored.upload, filename, rejected.problem));
  }
  const others = group.filter((file) => !(file.filename === filename && file.upload.state === 'rejected'));
  return withUpload(others, received, rejected);
}

/** Records a recheck of a stored file, whose bytes stay. Returns `undefined` also if it found nothing new. */
export function recordRecheck(group: StemGroup, id: string, found: Inspection): StemGroup | undefined {
  const file = storedIn(group, (other) => other.id === id);
  if (file === undefined) return undefined;
  const { problem: _, ...intact } = file.upload;
  const kept = intact.warnings.filter(({ code }) => code === 'REPLACEMENT_REJECTED');
  const upload = found.ok
    ? { ...intact, contentType: found.contentType, facts: found.facts, warnings: [...found.warnings, ...kept] }
    : { ...intact, problem: found.problem };
  return isSameUpload(upload, file.upload) ? undefined : withUpload(group, file, upload);
}

function isSameUpload(a: StoredFile['upload'], b: StoredFile['upload']): boolean {
  const textOf = ({ contentType, facts, warnings, problem }: StoredFile['upload']) =>
    JSON.stringify([contentType, facts, warnings, problem]);
  return textOf(a) === textOf(b);
}

function isReplacedBy({ id, upload }: DatasetFile, by: ReceivedFile): boolean {
  if (id === by.id || upload.state === 'pending') return false;
  return upload.state !== 'received' || upload.receivedAt <= by.upload.receivedAt;
}

function receivedIn(group: StemGroup, id: string): ReceivedFile | undefined {
  return group.find((file): file is ReceivedFile => file.id === id && file.upload.state === 'received');
}

function storedIn(group: StemGroup, matches: (file: DatasetFile) => boolean): StoredFile | undefined {
  return group.find((file): file is StoredFile => file.upload.state === 'stored' && matches(file));
}

function withUpload(group: StemGroup, changed: DatasetFile, upload: Upload): StemGroup {
  return group.map((file) => (file === changed ? { ...changed, upload } : file));
}
