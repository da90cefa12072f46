import { MAX_CAPTION_TEXT_BYTES } from '../../../api/limits.js';
import type { Dataset, DatasetFile, RevisionDiff, TrainyardClient } from '../../../client/client.js';
import { invalidAnswer } from '../../../client/trainyard-error.js';
import { differenceOf } from '../../../dataset/history/word-difference.js';
import { clientFrom, mustFind, type RemoteOptions } from '../../remote.js';
import { type Painter, painterOf, print, printJson } from '../../terminal/print.js';
import { counted, formatBytes, printable } from '../../terminal/text.js';
import { explainNoHistory, latestRevision } from './revisions.js';

/** Names on one page, which has their captions. */
const PAGE_SIZE = 500;

/** Of a longer run of equal text, only this many characters at its start and at its end are printed. */
const CONTEXT_CHARACTERS = 60;

interface DiffOptions extends RemoteOptions {
  readonly from: number | undefined;
  readonly to: number | undefined;
}

/** `trainyard diff` */
export async function showDifference(name: string, options: DiffOptions, signal: AbortSignal): Promise<void> {
  const client = clientFrom(options);
  const dataset = await mustFind(client, name, signal);
  const range = await rangeOf(client, dataset, { ...options, signal });
  if (options.json) {
    const { next_after: _, ...whole } = await wholeDifference(client, dataset, { ...range, signal });
    return printJson(whole);
  }
  const paint = painterOf(process.stdout);
  let isFirst = true;
  for await (const page of differencePages(client, dataset, { ...range, signal })) {
    if (isFirst) print(paint('bold', headingOf(dataset, page)));
    isFirst = false;
    for (const line of differenceLines(page, paint)) print(line);
  }
}

async function rangeOf(
  client: TrainyardClient,
  dataset: Dataset,
  { from, to, signal }: { from: number | undefined; to: number | undefined; signal: AbortSignal },
): Promise<{ from: number; to: number }> {
  if (from !== undefined && to !== undefined) return { from, to };
  const { number } = await latestRevision(client, dataset, signal);
  return { from: from ?? number - 1, to: number };
}

interface Range {
  readonly from: number;
  readonly to: number;
  readonly signal: AbortSignal;
}

/** The first page of a difference. */
export async function firstDifferencePage(
  client: TrainyardClient,
  dataset: { id: string },
  range: Range,
): Promise<RevisionDiff> {
  for await (const page of differencePages(client, dataset, range)) return page;
  throw new Error('A difference has at least one page.');
}

/**
 * Yields the difference of two revisions in pages, which are ordered by filename.
 *
 * @throws TrainyardError also if a page does not advance, or there are more files than the first page says: the pages could
 * have no end
 */
async function* differencePages(
  client: TrainyardClient,
  { id }: { id: string },
  { from, to, signal }: Range,
): AsyncGenerator<RevisionDiff> {
  let awaited: number | undefined;
  for (let after: string | undefined; ; ) {
    const query = { from, to, limit: PAGE_SIZE, ...(after !== undefined && { after }) };
    const page = await client.history.diff(id, query, { signal }).catch(explainNoHistory);
    awaited = (awaited ?? sum(page.total)) - page.added.length - page.removed.length - page.changed.length;
    if (awaited < 0) throw invalidAnswer(200, 'its pages have more files than its total.');
    if (page.next_after !== null && page.next_after <= (after ?? '')) {
      throw invalidAnswer(200, 'its next_after is not after that of the page before.');
    }
    yield page;
    if (page.next_after === null) return;
    after = page.next_after;
  }
}

function sum({ added, removed, changed }: RevisionDiff['total']): number {
  return added + removed + changed;
}

async function wholeDifference(client: TrainyardClient, dataset: { id: string }, range: Range): Promise<RevisionDiff> {
  const pages: RevisionDiff[] = [];
  for await (const page of differencePages(client, dataset, range)) pages.push(page);
  return {
    ...pages[0]!,
    added: pages.flatMap(({ added }) => added),
    removed: pages.flatMap(({ removed }) => removed),
    changed: pages.flatMap(({ changed }) => changed),
  };
}

function headingOf({ name }: Dataset, { from, to, total }: RevisionDiff): string {
  return `${printable(name)}, revision ${from} to ${to}: ${changeCounts(total) || 'the same files'}`;
}

/** `3 files added, 1 removed`; empty if there are no changes. */
export function changeCounts({ added, removed, changed }: RevisionDiff['total']): string {
  const counts = [
    [added, 'added'],
    [removed, 'removed'],
    [changed, 'changed'],
  ] as const;
  return counts
    .filter(([number]) => number > 0)
    .map(([number, what], i) => `${i === 0 ? counted(number, 'file') : number.toLocaleString('en')} ${what}`)
    .join(', ');
}

/** The lines of a page, by name. */
export function differenceLines({ added, removed, changed }: RevisionDiff, paint: Painter): string[] {
  const blocks = [
    ...added.map((file) => ({ name: file.filename, lines: [paint('green', `+ ${describe(file)}`)] })),
    ...removed.map((file) => ({ name: file.filename, lines: [paint('red', `- ${describe(file)}`)] })),
    ...changed.map(({ filename, from, to, from_text, to_text }) => ({
      name: filename,
      lines: [
        paint('yellow', `~ ${printable(filename)}  ${formatBytes(from.size_bytes)} to ${formatBytes(to.size_bytes)}`),
        ...(isLost(from, from_text) || isLost(to, to_text)
          ? [paint('red', "    the texts can't be compared: one is missing or damaged in the store")]
          : []),
        ...(from_text === undefined || to_text === undefined ? [] : wordLines(from_text, to_text, paint)),
      ],
    })),
  ];
  return blocks.sort((a, b) => (a.name < b.name ? -1 : 1)).flatMap(({ lines }) => lines);
}

/** True for a caption of which the store has lost the bytes. Longer ones come without their texts. */
function isLost({ kind, size_bytes }: DatasetFile, text: string | undefined): boolean {
  return kind === 'caption' && text === undefined && size_bytes <= MAX_CAPTION_TEXT_BYTES;
}

function describe({ filename, size_bytes }: DatasetFile): string {
  return `${printable(filename)}  ${formatBytes(size_bytes)}`;
}

/** The words of two texts, as `git diff --word-diff` marks them. */
function wordLines(before: string, after: string, paint: Painter): string[] {
  const pieces = differenceOf(before, after);
  if (pieces.every(({ kind }) => kind === 'same'))
    return [paint('dim', '    the texts differ in their byte order mark')];
  const marked = pieces.map(({ kind, text }) => {
    if (kind === 'same') return shortened(text).split('\n').map(printable).join('\n');
    const [style, open, close] = kind === 'added' ? (['green', '{+', '+}'] as const) : (['red', '[-', '-]'] as const);
    // A line end that was added or removed is marked, since it can't be seen.
    return paint(style, `${open}${printable(text.replaceAll('\n', '↵'))}${close}`);
  });
  return marked
    .join('')
    .split('\n')
    .map((line) => `    ${line}`);
}

function shortened(text: string): string {
  if (text.length <= 2 * CONTEXT_CHARACTERS) return text;
  return `${text.slice(0, CONTEXT_CHARACTERS)} … ${text.slice(-CONTEXT_CHARACTERS)}`;
}
