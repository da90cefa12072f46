import { MAX_LISTED } from '../api/limits.js';
import type { WireLink, WireLinks, WireManifestLinks } from '../api/pair-schemas.js';
import type { WireGroup } from '../api/group-schemas.js';
import type {
  WireAwaited,
  WireChecking,
  WireDataset,
  WireDatasetChange,
  WireDatasetWithFiles,
  WireFile,
  WireManifest,
  WireProblem,
  WireUploadedFile,
} from '../api/schemas.js';
import {
  type Dataset,
  liveUntil,
  MICROS_PER_SECOND,
  type Micros,
  type PendingFile,
  type ReceivedFile,
  type StoredFile,
} from '../dataset/dataset.js';
import { datasetErrorOf } from '../dataset/findings.js';
import { type Group, groupsOf } from '../dataset/groups.js';
import type { Facts, Sound } from '../dataset/inspect/inspection.js';
import type { LinkView } from '../dataset/pairs/links.js';
import type { ErrorProblem, Problem } from '../dataset/problems.js';
import type { DatasetSummary, DatasetView } from '../service/datasets.js';
import type { ManifestLink, RevisionManifest } from '../service/history.js';
import type { FinalizedFile } from '../service/upload/upload-lease.js';
import type { DatasetChange } from '../service/watch/watch-dataset.js';
import { etagOf } from './write-headers.js';

const MICROS_PER_MINUTE = 60 * MICROS_PER_SECOND;

/** Formatting a date is the slowest part of `fileToWire`, and most files share a minute. */
let lastMinute = { minute: Number.NaN, text: '' };

/** `2025-07-22T13:05:16.143086` */
export function timeOf(micros: Micros): string {
  const minute = Math.floor(micros / MICROS_PER_MINUTE);
  if (minute !== lastMinute.minute) {
    lastMinute = { minute, text: new Date(minute * 60_000).toISOString().slice(0, '2025-07-22T13:05:'.length) };
  }
  const digits = String(micros - minute * MICROS_PER_MINUTE).padStart(8, '0');
  return `${lastMinute.text}${digits.slice(0, 2)}.${digits.slice(2)}`;
}

export function timeOrNull(micros: Micros | null): string | null {
  return micros === null ? null : timeOf(micros);
}

export function datasetToWire({ dataset, status }: DatasetSummary, errors: readonly ErrorProblem[] = []): WireDataset {
  const { counts } = dataset;
  const { images, videos, captions, uncaptioned, unpaired, pending, received, rejected } = counts;
  return {
    id: dataset.id,
    name: dataset.name,
    role: dataset.role,
    status,
    created_at: timeOf(dataset.createdAt),
    updated_at: timeOf(dataset.updatedAt),
    ...(status === 'FAILED' && {
      error: { ...datasetErrorOf(dataset, errors), problems: errors.slice(0, MAX_LISTED).map(problemToWire) },
    }),
    size_bytes: counts.bytes,
    counts: { images, videos, captions, uncaptioned, unpaired, pending, checking: received, rejected },
  };
}

/** For the account, which lists its controls and masks too. @param boundIds the datasets of a token that is bound to some */
export function listedToWire(summary: DatasetSummary, boundIds: readonly string[] | null | undefined): WireDataset {
  const linked = summary.dataset.links.flatMap(({ dataset: { id } }) => (boundIds?.includes(id) === false ? [] : id));
  return { ...datasetToWire(summary), ...(linked.length > 0 && { linked_ids: linked }) };
}

/** @param files the changed files that the dataset has */
export function changeToWire(change: DatasetChange, files: readonly StoredFile[] | undefined): WireDatasetChange {
  const summary = datasetToWire(change);
  if (change.filenames === undefined || files === undefined) return summary;
  const present = new Set(files.map(({ filename }) => filename));
  return { ...summary, files: files.map(fileToWire), absent: change.filenames.filter((name) => !present.has(name)) };
}

export function viewToWire(view: DatasetView): WireDatasetWithFiles {
  return {
    ...datasetToWire(view, view.findings.errors),
    files: view.files.map(fileToWire),
    ...groupsToWire(view.files, view.dataset),
    ...(view.damagedFiles.length > 0 && { damaged: view.damagedFiles.map(fileToWire) }),
    warnings: view.findings.warnings.slice(0, MAX_LISTED).map(problemToWire),
    ...(view.pendingUploads.length > 0 && { awaited: view.pendingUploads.slice(0, MAX_LISTED).map(awaitedToWire) }),
    ...(view.areUploadsInterrupted && { interrupted: true as const }),
    ...(view.receivedFiles.length > 0 && { checking: view.receivedFiles.slice(0, MAX_LISTED).map(checkingToWire) }),
    ...(view.digest !== undefined && { digest: view.digest }),
    ...(view.filesDigest !== undefined && { files_digest: view.filesDigest }),
    ...((view.links.length > 0 || view.hidesLinks) && { links: linksToWire(view.links) }),
    ...(view.linkedFrom.length > 0 && { linked_from: view.linkedFrom.map(({ id, name }) => ({ id, name })) }),
  };
}

export function linksToWire(links: readonly LinkView[]): WireLinks {
  return Object.fromEntries(links.map((link) => [link.slot, linkToWire(link)])) as WireLinks;
}

function linkToWire({ dataset, status, digest, proof }: LinkView): WireLink {
  const { id, name, role } = dataset;
  const { missing, extra, ambiguous, misfit, stretched } = proof;
  return {
    ...{ dataset_id: id, name, role, status },
    ...(digest !== undefined && { digest }),
    ...{ missing: stemsOf(missing), extra: stemsOf(extra) },
    ...{ ambiguous: stemsOf(ambiguous), misfit: stemsOf(misfit), stretched: stemsOf(stretched) },
  };
}

function stemsOf(stems: readonly string[]): WireLink['missing'] {
  return { count: stems.length, stems: stems.slice(0, MAX_LISTED) };
}

export function manifestToWire(view: RevisionManifest): WireManifest {
  return {
    dataset_id: view.dataset.id,
    name: view.dataset.name,
    revision: view.revision,
    status: view.status,
    ...(view.digest !== undefined && { digest: view.digest }),
    ...(view.filesDigest !== undefined && { files_digest: view.filesDigest }),
    ...(view.links !== undefined && view.links.length > 0 && { links: manifestLinksToWire(view.links) }),
    ...groupsToWire(view.files, view.dataset),
    files: view.files.map(fileToWire),
  };
}

function manifestLinksToWire(links: readonly ManifestLink[]): WireManifestLinks {
  const linkToManifest = ({ dataset, revision, digest }: ManifestLink) => ({
    ...{ dataset_id: dataset.id, name: dataset.name, revision },
    ...(digest !== undefined && { digest }),
  });
  return Object.fromEntries(links.map((link) => [link.slot, linkToManifest(link)])) as WireManifestLinks;
}

/** Absent without groups. */
function groupsToWire(files: readonly StoredFile[], { groups }: Pick<Dataset, 'groups'>): { groups?: WireGroup[] } {
  const found = groupsOf(files, groups);
  return found.length === 0 ? {} : { groups: found.map(groupToWire) };
}

export function groupToWire({ name, repeats, isReg, files }: Group & { readonly files: number }): WireGroup {
  return { name, repeats, is_reg: isReg, files };
}

export function fileToWire({ filename, group, upload }: StoredFile): WireFile {
  const { finalizedAt, problem, thumbhash, origin } = upload;
  return {
    ...bytesToWire(filename, upload, finalizedAt),
    ...(group !== undefined && { group }),
    ...(thumbhash !== undefined && { thumbhash }),
    ...(origin !== undefined && { origin }),
    ...(problem !== undefined && { problem: problemToWire(problem) }),
  };
}

export function uploadedToWire({ datasetId, filename, upload, recordedIn }: FinalizedFile): WireUploadedFile {
  if (upload.state === 'stored') {
    const file = bytesToWire(filename, upload, upload.finalizedAt);
    return { dataset_id: datasetId, ...file, revision: recordedIn };
  }
  // The check decides about this warning.
  const warnings = upload.warnings.filter(({ code }) => code !== 'NOT_FULLY_CHECKED');
  const file = bytesToWire(filename, { ...upload, warnings }, upload.receivedAt);
  return { dataset_id: datasetId, ...file, checking: true };
}

function bytesToWire(
  filename: string,
  upload: Pick<StoredFile['upload'], 'sizeBytes' | 'contentType' | 'sha256' | 'facts' | 'warnings'>,
  uploadedAt: Micros,
): WireFile {
  return {
    filename,
    size_bytes: upload.sizeBytes,
    content_type: upload.contentType,
    sha256: upload.sha256,
    etag: etagOf(upload),
    uploaded_at: timeOf(uploadedAt),
    ...factsToWire(upload.facts),
    ...(upload.warnings.length > 0 && { warnings: upload.warnings.map(problemToWire) }),
  };
}

function checkingToWire({ filename, upload }: ReceivedFile): WireChecking {
  const { sizeBytes, sha256, receivedAt } = upload;
  return { filename, size_bytes: sizeBytes, sha256, since: timeOf(receivedAt) };
}

function factsToWire(facts: Facts) {
  if (facts.kind !== 'video') return facts;
  const { durationSeconds, framesPerSecond, hasAudio, sound, ...rest } = facts;
  return {
    ...rest,
    ...(durationSeconds !== undefined && { duration_seconds: durationSeconds }),
    ...(framesPerSecond !== undefined && { frames_per_second: framesPerSecond }),
    ...(hasAudio !== undefined && { has_audio: hasAudio }),
    ...(sound !== undefined && { audio: soundToWire(sound) }),
  };
}

function soundToWire({ codec, channels, sampleRate, durationSeconds }: Sound) {
  return {
    ...(codec !== undefined && { codec }),
    ...(sampleRate !== undefined && { sample_rate: sampleRate }),
    ...(channels !== undefined && { channels }),
    ...(durationSeconds !== undefined && { duration_seconds: durationSeconds }),
  };
}

function awaitedToWire({ filename, upload }: PendingFile): WireAwaited {
  return { filename, until: timeOf(liveUntil(upload)) };
}

export function problemToWire({ code, filename, message }: Problem): WireProblem {
  return { code, ...(filename !== undefined && { filename }), message };
}
