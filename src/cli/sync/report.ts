import { readFile } from 'node:fs/promises';
import { type LocalFile, withContent } from '../folder/read-folder.js';
import { kindsOf } from '../folder/report.js';
import type { Decisions, Hashes, Kept, SyncPlan } from './compare.js';
import { type Painter, painterOf, print, printMessage, withOwnCommand } from '../terminal/print.js';
import { counted, formatBytes, printable } from '../terminal/text.js';
import { choose } from '../terminal/prompts.js';
import { undefinedFor } from '../remote.js';
import type { Dataset, TrainyardClient } from '../../client/client.js';
import { shellWord } from '../../command-line.js';
import { mediaTypeOf } from '../../dataset/media.js';

export interface SyncDirection {
  readonly source: 'folder' | 'dataset';
  readonly target: 'folder' | 'dataset';
  /** The command for the other direction. */
  readonly opposite: string;
  /** The command removes from the target what was removed from the source. */
  readonly replaces: boolean;
}

type NamedDataset = Pick<Dataset, 'id' | 'name'>;

/**
 * @param source what the command reads
 * @param options.folder `undefined` if the files are in several
 */
export function directionFrom(
  source: SyncDirection['source'],
  { id, name }: NamedDataset,
  { folder = 'FOLDER', url, replaces }: { folder: string | undefined; url: string | undefined; replaces: boolean },
): SyncDirection {
  const options = url === undefined ? '' : ` --url ${shellWord(url)}`;
  const dataset = datasetWord({ id, name });
  const path = shellWord(folder.startsWith('-') ? `./${folder}` : folder);
  return source === 'folder'
    ? { source, target: 'dataset', opposite: `trainyard pull${options} ${dataset} ${path}`, replaces }
    : { source, target: 'folder', opposite: `trainyard push${options} ${path} --name ${dataset}`, replaces };
}

/** The id, for a name that looks like an option. */
export function datasetWord({ id, name }: NamedDataset): string {
  return shellWord(name.startsWith('-') ? id : name);
}

/** Says which files stay although the source differs, and how to change that. */
export function keptLines(plan: SyncPlan, { source, target, opposite, replaces }: SyncDirection): string[] {
  const [fetch, send, win] = source === 'folder' ? ['fetch', 'send', '--ours'] : ['send', 'fetch', '--theirs'];
  const mirrored = replaces ? ` To make the ${target} what the ${source} is, add ${win}.` : '';
  const opposed = withOwnCommand(`${mirrored} To ${fetch} what is newer there, run: ${opposite}`);
  const texts: Record<Kept, readonly [is: string, are: string, how: string, advice: string]> = {
    'changed-in-target': ['is', 'are', `newer in the ${target}`, opposed],
    'added-to-target': ['is', 'are', `only in the ${target}`, opposed],
    'removed-from-source': [
      ...(['was', 'were', `removed from the ${source}`] as const),
      ` To remove them from the ${target} too, add --replace.`,
    ],
    'removed-from-target': ['was', 'were', `removed from the ${target}`, ` To ${send} them again, add ${win}.`],
    'target-wins': ['stays', 'stay', `as in the ${target}`, ''],
  };
  return Object.entries(texts).flatMap(([reason, [is, are, how, advice]]) => {
    const names = plan[reason as Kept];
    if (names.length === 0) return [];
    return [`${kindsOf(names)} ${names.length === 1 ? is : are} ${how}: ${namesOf(names)}.${advice}`];
  });
}

export function keptDocument(plan: SyncPlan, { source, target }: SyncDirection): Record<string, readonly string[]> {
  return {
    [`changed_in_${target}`]: plan['changed-in-target'],
    [`only_in_${target}`]: plan['added-to-target'],
    [`removed_from_${source}`]: plan['removed-from-source'],
    [`removed_from_${target}`]: plan['removed-from-target'],
    [`decided_for_${target}`]: plan['target-wins'],
  };
}

export function namesOf(filenames: readonly string[]): string {
  const first = filenames.slice(0, 5).map(printable).join(', ');
  return filenames.length <= 5 ? first : `${first} and ${(filenames.length - 5).toLocaleString('en')} more`;
}

/** Longer captions are compared by SHA-256 only. */
const MAX_TEXT_BYTES = 64 * 1024;

const MAX_READ = 1000;

const MAX_SHOWN = 20;

const MAX_LINES_SHOWN = 12;

/** `undefined` if the file is not there. */
type Version = { readonly sizeBytes: number; readonly text: string | undefined } | undefined;

export interface Conflict {
  readonly filename: string;
  readonly folder: Version;
  readonly dataset: Version;
}

/** Reads both versions, with the texts of the first captions. */
export async function readConflicts(
  names: readonly string[],
  sides: {
    readonly folder: ReadonlyMap<string, Pick<LocalFile, 'sizeBytes' | 'path' | 'unpack'>>;
    readonly dataset: ReadonlyMap<string, { readonly sizeBytes: number }>;
    readonly client: TrainyardClient;
    readonly datasetId: string;
    readonly signal: AbortSignal;
  },
): Promise<Conflict[]> {
  const { folder, dataset, client, datasetId, signal } = sides;
  const captions = names.filter((name) => mediaTypeOf(name)?.kind === 'caption').slice(0, MAX_READ);
  const stored = captions.filter((name) => dataset.has(name));
  // One may have been removed meanwhile; sizes are shown instead.
  const read = (await client.bulk.captions(datasetId, stored, { signal }).catch(undefinedFor(404))) ?? [];
  const texts = new Map(read.map(({ filename, text }) => [filename, text ?? undefined]));
  const localTexts = new Map<string, string>();
  for (const name of captions) {
    const file = folder.get(name);
    if (file === undefined || file.sizeBytes > MAX_TEXT_BYTES) continue;
    const text = await withContent(file, () => readFile(file.path, 'utf8')).catch(() => undefined);
    if (text !== undefined) localTexts.set(name, text.replace(/^\ufeff/, ''));
  }
  const versionOf = (file: { sizeBytes: number } | undefined, text: string | undefined): Version =>
    file && { sizeBytes: file.sizeBytes, text };
  return names.map((filename) => ({
    filename,
    folder: versionOf(folder.get(filename), localTexts.get(filename)),
    dataset: versionOf(dataset.get(filename), texts.get(filename)),
  }));
}

/** Shows the lines of captions that differ, `-` in the folder and `+` in the dataset, and the sizes of other files. */
export function conflictLines(conflicts: readonly Conflict[], paint: Painter): string[] {
  const lines = conflicts.slice(0, MAX_SHOWN).flatMap((conflict) => linesOf(conflict, paint, MAX_LINES_SHOWN));
  const more = conflicts.slice(MAX_SHOWN).map(({ filename }) => printable(filename));
  return more.length === 0
    ? lines
    : [...lines, paint('yellow', `✗ ${counted(more.length, 'more conflict')}: ${more.join(', ')}`)];
}

function linesOf({ filename, folder, dataset }: Conflict, paint: Painter, maxLines: number): string[] {
  const deeds = `${deedOf('folder', '-', folder)}, ${deedOf('dataset', '+', dataset)}`;
  const title = paint('yellow', `✗ ${printable(filename)} is in conflict: ${deeds}`);
  const isText = folder?.text !== undefined && dataset?.text !== undefined;
  const both: [string[], string[]] = [textLinesOf(folder), textLinesOf(dataset)];
  const [here, there] = isText ? differingLines(...both) : both;
  if (here.length + there.length === 0) {
    return [title, paint('dim', '  the texts differ only in a byte order mark, or in the line break at their end')];
  }
  return [
    title,
    ...shortened(here, maxLines).map((line) => paint('red', `  - ${printable(line)}`)),
    ...shortened(there, maxLines).map((line) => paint('green', `  + ${printable(line)}`)),
  ];
}

function deedOf(side: 'folder' | 'dataset', sign: string, version: Version): string {
  return version === undefined ? `not in the ${side}` : `changed in the ${side} (${sign})`;
}

function textLinesOf(version: Version): string[] {
  if (version === undefined) return [];
  return version.text?.replace(/\n$/, '').split('\n') ?? [formatBytes(version.sizeBytes)];
}

function differingLines(one: readonly string[], other: readonly string[]): [string[], string[]] {
  const shorter = Math.min(one.length, other.length);
  let start = 0;
  while (start < shorter && one[start] === other[start]) start++;
  let end = 0;
  while (end < shorter - start && one.at(-1 - end) === other.at(-1 - end)) end++;
  return [one.slice(start, one.length - end), other.slice(start, other.length - end)];
}

function shortened(lines: readonly string[], max: number): string[] {
  const more = lines.length - max;
  return more <= 0 ? [...lines] : [...lines.slice(0, max), `… and ${counted(more, 'more line')}`];
}

/** Conflicts go to standard output, and how to decide to standard error. */
export function printConflicts(conflicts: readonly Conflict[]): void {
  if (conflicts.length === 0) return;
  print(conflictLines(conflicts, painterOf(process.stdout)).join('\n'));
  const names = conflicts.map(({ filename }) => filename);
  const [files, were] =
    names.length === 1 ? ['1 file is', 'was'] : [`${names.length.toLocaleString('en')} files are`, 'were'];
  const advice = "To keep the folder's version, add --ours; to keep the dataset's, add --theirs.";
  printMessage(`${files} in conflict and ${were} left alone: ${namesOf(names)}. ${advice}`);
}

/** @returns whose version to keep; skipped files are left out */
export async function askAboutConflicts(
  conflicts: readonly Conflict[],
  { source }: Pick<SyncDirection, 'source'>,
  signal: AbortSignal,
): Promise<Decisions> {
  const paint = painterOf(process.stderr);
  const decisions = new Map<string, 'source' | 'target'>();
  for (const [i, conflict] of conflicts.entries()) {
    print(linesOf(conflict, paint, MAX_LINES_SHOWN).join('\n'), process.stderr);
    const question = `Conflict ${i + 1} of ${conflicts.length}. Keep ours (folder) or theirs (dataset)?`;
    for (;;) {
      const choice = await choose(question, ['ours', 'theirs', 'skip', 'diff'], signal);
      const isOfFolder = choice === 'ours';
      if (isOfFolder || choice === 'theirs') {
        decisions.set(conflict.filename, isOfFolder === (source === 'folder') ? 'source' : 'target');
      }
      if (choice !== 'diff') break;
      print(linesOf(conflict, paint, Number.POSITIVE_INFINITY).join('\n'), process.stderr);
    }
  }
  return decisions;
}

/** For `--json`; null where there is no such file. */
export function conflictDocument(filename: string, sides: { folder: Hashes; dataset: Hashes; common: Hashes }) {
  return {
    filename,
    folder_sha256: sides.folder.get(filename) ?? null,
    dataset_sha256: sides.dataset.get(filename) ?? null,
    common_sha256: sides.common.get(filename) ?? null,
  };
}
