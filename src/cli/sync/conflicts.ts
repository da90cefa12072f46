import { type TrainyardClient, TrainyardError } from '../../client/client.js';
import { mediaTypeOf } from '../../dataset/media.js';
import { readRegularFile } from '../../storage/regular-file.js';
import { type LocalFile, withContent } from '../folder/read-folder.js';
import { type Painter, painterOf, print, printMessage } from '../terminal/print.js';
import { choose } from '../terminal/prompts.js';
import { counted, formatBytes, printable } from '../terminal/text.js';
import type { Hashes } from './compare.js';
import { namesOf } from './report.js';

/** Longer captions are compared by SHA-256 only. */
const MAX_TEXT_BYTES = 64 * 1024;

const MAX_READ = 1000;

const MAX_SHOWN = 20;

const MAX_LINES_SHOWN = 12;

/** `undefined` if the file was removed there. */
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
  const read = await client.bulk.captions(datasetId, stored, { signal }).catch((error) => {
    // One was removed meanwhile; sizes are shown instead.
    if (error instanceof TrainyardError && error.status === 404) return [];
    throw error;
  });
  const texts = new Map(read.map(({ filename, text }) => [filename, text ?? undefined]));
  const localTexts = new Map<string, string>();
  for (const name of captions) {
    const file = folder.get(name);
    if (file === undefined) continue;
    const text = await withContent(file, () => readRegularFile(file.path, { maxBytes: MAX_TEXT_BYTES })).catch(
      () => undefined,
    );
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
  return version === undefined ? `removed from the ${side}` : `changed in the ${side} (${sign})`;
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
  signal: AbortSignal,
): Promise<Map<string, 'ours' | 'theirs'>> {
  const paint = painterOf(process.stderr);
  const decisions = new Map<string, 'ours' | 'theirs'>();
  for (const [i, conflict] of conflicts.entries()) {
    print(linesOf(conflict, paint, MAX_LINES_SHOWN).join('\n'), process.stderr);
    const question = `Conflict ${i + 1} of ${conflicts.length}. Keep ours (folder) or theirs (dataset)?`;
    for (;;) {
      const choice = await choose(question, ['ours', 'theirs', 'skip', 'diff'], signal);
      if (choice === 'ours' || choice === 'theirs') decisions.set(conflict.filename, choice);
      if (choice !== 'diff') break;
      print(linesOf(conflict, paint, Number.POSITIVE_INFINITY).join('\n'), process.stderr);
    }
  }
  return decisions;
}

/** For `--json`; null where the file was removed. */
export function conflictDocument(filename: string, sides: { folder: Hashes; dataset: Hashes; common: Hashes }) {
  return {
    filename,
    folder_sha256: sides.folder.get(filename) ?? null,
    dataset_sha256: sides.dataset.get(filename) ?? null,
    common_sha256: sides.common.get(filename) ?? null,
  };
}
