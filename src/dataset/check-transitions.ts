import type { DatasetFile, ReceivedFile, StoredFile, Upload } from './dataset.js';
import type { Inspection } from './inspect/inspection.js';
import { type StemGroup, withRejectedReplacement, withReplaced } from './upload-transitions.js';
import { changedMeanwhile, meetsCondition, storedFileIn } from './write-condition.js';

/*
 * Transitions of files that are checked in the background, as `upload-transitions.ts` has those of uploads. Each returns
 * `undefined`, and so changes nothing, if the file has been checked, replaced or removed in the meantime.
 */

type RejectedUpload = Extract<Upload, { state: 'rejected' }>;

/**
 * Stores the file. It replaces the stored or rejected file of the same name, and those received before it, as `withReplaced` says.
 * If it has a condition that is no longer met, it is rejected instead.
 */
export function acceptReceived(group: StemGroup, id: string, stored: StoredFile['upload']): StemGroup | undefined {
  const received = receivedIn(group, id);
  if (received === undefined) return undefined;
  const { filename } = received;
  if (!meetsCondition(received.upload.condition, storedFileIn(group, filename))) {
    const { finalizedAt } = stored;
    return rejectReceived(group, id, { state: 'rejected', problem: changedMeanwhile(filename), finalizedAt });
  }
  // Of a presigned upload that was rejected during the check.
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

/**
 * Records that the file was rejected. If a stored file has the same name, that file stays, with a warning about its
 * rejected replacement, since the client's answer did not report it.
 */
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

/**
 * Records what a recheck found in a stored file. A problem keeps the file, its facts and its bytes. Returns `undefined` also
 * if the recheck found nothing new.
 */
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
