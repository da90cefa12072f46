import { MAX_LISTED } from '../../src/api/limits.js';
import type {
  DatasetChange,
  DatasetFile,
  DatasetWithFiles,
  Group,
  Problem as WireProblem,
} from '../../src/client/client.js';
import { allFindings } from '../../src/dataset/findings.js';
import { groupsOf } from '../../src/dataset/groups.js';
import { mediaTypeOf } from '../../src/dataset/media.js';
import { byFilename } from '../../src/dataset/names.js';
import { isPairProblem, type Problem } from '../../src/dataset/problems.js';

/**
 * The dataset after a change that an event reports, as its status would have it, but without the digest if bytes have
 * changed.
 *
 * @returns `undefined` if the event does not tell enough, so that the status must be read
 */
export function datasetAfter(known: DatasetWithFiles, change: DatasetChange): DatasetWithFiles | undefined {
  const { files: changed, absent = [], error, ...summary } = change;
  // Events do not describe uploads that are in progress or rejected.
  if (changed === undefined || hasUploads(known) || hasUploads(change)) return undefined;
  if (known.role !== change.role) return undefined;
  if (known.links !== undefined && !keepsPairs(known, change)) return undefined;
  const files = changed.length + absent.length === 0 ? known.files : filesAfter(known.files, changed, absent);
  const { images, videos, captions } = summary.counts;
  // The counts were read before the files. If a change fell in between, it has an event of its own.
  if (files.length !== images + videos + captions) return undefined;
  const groups = groupsAfter(known, files);
  if (groups === undefined) return undefined;
  const named = files.map((file) => (file.has_audio === undefined ? file : { ...file, hasAudio: file.has_audio }));
  const findings = allFindings(files.flatMap(warningsOf), named, { role: known.role });
  const problems = [...pairProblemsOf(known.error?.problems), ...findings.errors.map(problemOf)].slice(0, MAX_LISTED);
  const warnings = [...pairProblemsOf(known.warnings), ...findings.warnings.map(problemOf)].slice(0, MAX_LISTED);
  const [only, ...others] = problems;
  const { code, message } = only !== undefined && others.length === 0 ? only : (error ?? { code: '', message: '' });
  return {
    ...summary,
    ...(error !== undefined && { error: { code, message, problems } }),
    files,
    warnings,
    ...(groups.length > 0 && { groups }),
    ...(known.links && { links: known.links }),
    ...(known.linked_from && { linked_from: known.linked_from }),
    ...(summary.status === 'READY' && known.digest && isSameContent(files, known.files) && { digest: known.digest }),
  };
}

/** `undefined` if a file has a group of which the repeats are not known. */
function groupsAfter({ groups = [] }: DatasetWithFiles, files: readonly DatasetFile[]): Group[] | undefined {
  const known = groups.map(({ name, repeats, is_reg: isReg }) => ({ name, repeats, isReg }));
  const after = groupsOf(files, known);
  if (after.some(({ name }) => !known.some((group) => group.name === name))) return undefined;
  return after.map(({ isReg, ...group }) => ({ ...group, is_reg: isReg }));
}

/**
 * Whether the pairs with controls and masks are as they were: captions belong to no control or mask. An event without files is
 * about a linked dataset.
 */
function keepsPairs(known: DatasetWithFiles, { files = [], absent = [], counts }: DatasetChange): boolean {
  const names = [...files.map(({ filename }) => filename), ...absent];
  return names.length > 0 && names.every(isCaption) && counts.unpaired === known.counts.unpaired;
}

function hasUploads({ counts }: Pick<DatasetWithFiles, 'counts'>): boolean {
  return counts.pending + counts.checking + counts.rejected > 0;
}

/** All files, by name, as in the status. */
function filesAfter(
  known: readonly DatasetFile[],
  changed: readonly DatasetFile[],
  absent: readonly string[],
): DatasetFile[] {
  const byName = new Map(known.map((file) => [file.filename, file]));
  for (const filename of absent) byName.delete(filename);
  for (const file of changed) byName.set(file.filename, file);
  return [...byName.values()].sort(byFilename);
}

/** A thumbnail that has come changes none. */
function isSameContent(files: readonly DatasetFile[], known: readonly DatasetFile[]): boolean {
  const isSame = ({ filename, sha256 }: DatasetFile, i: number) =>
    filename === known[i]?.filename && sha256 === known[i].sha256;
  return files.length === known.length && files.every(isSame);
}

function warningsOf({ warnings = [] }: DatasetFile): Problem[] {
  return warnings.map((warning) => ({ severity: 'warning', ...warning }) as Problem);
}

function pairProblemsOf(problems: readonly WireProblem[] = []): WireProblem[] {
  return problems.filter(isPairProblem);
}

function isCaption(filename: string): boolean {
  return mediaTypeOf(filename)?.kind === 'caption';
}

function problemOf({ severity: _, ...problem }: Problem) {
  return problem;
}
