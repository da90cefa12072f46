import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { MAX_LISTED } from '../api/limits.js';
import type { WireDatasetChange } from '../api/event-schemas.js';
import type {
  WireAwaited,
  WireChecking,
  WireCurrentFile,
  WireDataset,
  WireDatasetWithFiles,
  WireFile,
  WireGroup,
  WireLink,
  WireLinks,
  WireManifest,
  WireManifestLinks,
  WireProblem,
  WireUploadedFile,
} from '../api/schemas.js';
import { datasetErrorOf } from '../dataset/findings.js';
import {
  type Author,
  type ChangeKind,
  type Dataset,
  MICROS_PER_SECOND,
  type Micros,
  type PendingFile,
  type ReceivedFile,
  type StoredFile,
  type Tags,
  type WriteCondition,
  liveUntil,
} from '../dataset/dataset.js';
import { ServiceError } from '../dataset/errors.js';
import { type Group, groupsOf } from '../dataset/groups.js';
import type { Facts, Sound } from '../dataset/inspect/inspection.js';
import type { ManifestLink } from '../service/manifest.js';
import type { LinkView } from '../dataset/pairs/links.js';
import type { ErrorProblem, Problem } from '../dataset/problems.js';
import type { CurrentFile } from '../dataset/upload-transitions.js';
import type { DatasetSummary, DatasetView } from '../service/datasets.js';
import type { StoredManifest } from '../service/history.js';
import type { FinalizedFile } from '../service/upload/upload-lease.js';
import type { DatasetChange } from '../service/watch.js';

/** Strong: the same for the same bytes. */
export function etagOf({ sha256 }: { readonly sha256: string }): string {
  return `"${sha256}"`;
}

export function currentToWire(current: CurrentFile | undefined): WireCurrentFile | null {
  return current === undefined ? null : { etag: etagOf(current), size_bytes: current.sizeBytes };
}

/** From `If-Match` and `If-None-Match` (RFC 9110, section 13.1). @throws ServiceError `invalid_field` */
export function conditionOf(headers: IncomingHttpHeaders): WriteCondition | undefined {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  return {
    // A weak tag does not promise the same bytes.
    ...(ifMatch !== undefined && { ifMatch: tagsOf('If-Match', ifMatch, { acceptsWeak: false }) }),
    ...(ifNoneMatch !== undefined && { ifNoneMatch: tagsOf('If-None-Match', ifNoneMatch, { acceptsWeak: true }) }),
  };
}

/** A body could have millions, which would take a second to read, and be stored with the uploads. */
const MAX_ETAGS_LENGTH = 1000;
const MAX_ETAGS = 10;

/** Null: there must be no file. @param path names the field in the error. @throws ServiceError `invalid_field` */
export function expectedConditionOf(etag: unknown, path: string): WriteCondition {
  if (etag === null) return { ifNoneMatch: '*' };
  if (typeof etag !== 'string' || etag.length > MAX_ETAGS_LENGTH) throw malformedTags(path);
  return { ifMatch: tagsOf(path, etag, { acceptsWeak: false, maxTags: MAX_ETAGS }) };
}

/** @param hasName whether the request has a file. @param namesIn names its field in errors. @throws ServiceError `invalid_field` */
export function expectedConditionsOf(
  ifMatch: Readonly<Record<string, unknown>> = {},
  { hasName, namesIn }: { hasName: (filename: string) => boolean; namesIn: string },
): Map<string, WriteCondition> {
  const conditions = new Map<string, WriteCondition>();
  for (const [filename, etag] of Object.entries(ifMatch)) {
    const path = `ifMatch.${filename}`;
    if (!hasName(filename)) throw invalidField(path, `names a file that is not in ${namesIn}`);
    conditions.set(filename, expectedConditionOf(etag, path));
  }
  return conditions;
}

const LISTED_TAG = /\s*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)/y;

function tagsOf(
  path: string,
  value: string,
  { acceptsWeak, maxTags = Number.POSITIVE_INFINITY }: { acceptsWeak: boolean; maxTags?: number },
): Tags {
  if (value.trim() === '*') return '*';
  const tags: string[] = [];
  LISTED_TAG.lastIndex = 0;
  for (let count = 1; ; count++) {
    const [, weak, tag = ''] = LISTED_TAG.exec(value) ?? [];
    if (LISTED_TAG.lastIndex === 0 || count > maxTags) throw malformedTags(path);
    if (weak === undefined || acceptsWeak) tags.push(tag);
    if (LISTED_TAG.lastIndex >= value.length) return tags;
  }
}

function malformedTags(path: string): ServiceError {
  return invalidField(path, 'must be * or an ETag in quotation marks, as answers have it');
}

export function invalidField(path: string, message: string): ServiceError {
  return new ServiceError('invalid_field', `The request is not valid. ${path}: ${message}`, {
    detail: [{ path, message }],
  });
}

/** See `CHANGE` of `api/routes.ts`. */
const CHANGE = /^(edit|bulk|push|upload) *; *([A-Za-z0-9-]{1,64})$/;

/** The token, and its change. @param how applies if the request names none. @throws ServiceError `invalid_field` */
export function authorOf({ grant, headers }: Pick<FastifyRequest, 'grant' | 'headers'>, how: ChangeKind): Author {
  const token = { tokenId: grant?.tokenId ?? null, tokenName: grant?.tokenName ?? null };
  const header = headers['trainyard-change'];
  if (header === undefined) return { ...token, how, changeId: null };
  const [, given, changeId] = CHANGE.exec(String(header).trim()) ?? [];
  if (given === undefined || changeId === undefined) {
    const message =
      'must be edit, bulk, push or upload, a semicolon, and an id of 1 to 64 letters, digits and hyphens, such as "push; 3f2a"';
    throw invalidField('Trainyard-Change', message);
  }
  // They are never part of another change.
  if (how === 'restore' || how === 'undo') return { ...token, how, changeId: null };
  return { ...token, how: given as ChangeKind, changeId };
}

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
    digest: view.digest,
    files_digest: view.filesDigest,
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
    ...{ dataset_id: id, name, role, status, digest },
    ...{ missing: stemsOf(missing), extra: stemsOf(extra) },
    ...{ ambiguous: stemsOf(ambiguous), misfit: stemsOf(misfit), stretched: stemsOf(stretched) },
  };
}

function stemsOf(stems: readonly string[]): WireLink['missing'] {
  return { count: stems.length, stems: stems.slice(0, MAX_LISTED) };
}

export function manifestToWire({ links = [], ...manifest }: StoredManifest): WireManifest {
  const { id, name, revision, status, digest, filesDigest, files } = manifest;
  return {
    ...{ dataset_id: id, name, revision, status, digest, files_digest: filesDigest },
    ...(links.length > 0 && { links: manifestLinksToWire(links) }),
    ...groupsToWire(files, manifest),
    files: files.map(fileToWire),
  };
}

export function manifestLinksToWire(links: readonly ManifestLink[]): WireManifestLinks {
  const wire = links.map(({ slot, id, name, revision, digest }) => [slot, { dataset_id: id, name, revision, digest }]);
  return Object.fromEntries(wire) as WireManifestLinks;
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
  const { finalizedAt, thumbhash, origin } = upload;
  const problem = upload.problem && problemToWire(upload.problem);
  return Object.assign(bytesToWire(filename, upload, finalizedAt), { group, thumbhash, origin, problem });
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
  const { sizeBytes: size_bytes, contentType: content_type, sha256 } = upload;
  const file = { filename, size_bytes, content_type, sha256, etag: etagOf(upload), uploaded_at: timeOf(uploadedAt) };
  const warnings = upload.warnings.length > 0 ? upload.warnings.map(problemToWire) : undefined;
  // V8 takes ten times as long to spread objects of different shapes, for each of thousands of files of a status.
  return Object.assign(file, factsToWire(upload.facts), { warnings });
}

function checkingToWire({ filename, upload }: ReceivedFile): WireChecking {
  const { sizeBytes, sha256, receivedAt } = upload;
  return { filename, size_bytes: sizeBytes, sha256, since: timeOf(receivedAt) };
}

function factsToWire(facts: Facts) {
  if (facts.kind !== 'video') return facts;
  const { durationSeconds: duration_seconds, framesPerSecond, hasAudio: has_audio, sound, ...rest } = facts;
  return {
    ...rest,
    duration_seconds,
    frames_per_second: framesPerSecond,
    has_audio,
    audio: sound && soundToWire(sound),
  };
}

function soundToWire({ codec, channels, sampleRate: sample_rate, durationSeconds: duration_seconds }: Sound) {
  return { codec, sample_rate, channels, duration_seconds };
}

function awaitedToWire({ filename, upload }: PendingFile): WireAwaited {
  return { filename, until: timeOf(liveUntil(upload)) };
}

export function problemToWire({ code, filename, message }: Problem): WireProblem {
  return { code, filename, message };
}
