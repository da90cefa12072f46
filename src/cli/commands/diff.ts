import { MAX_CAPTION_TEXT_BYTES } from '../../api/limits.js';
import type { Dataset, DatasetFile, RevisionDiff, TrainyardClient } from '../../client/client.js';
import { invalidAnswer } from '../../client/trainyard-error.js';
import { differenceOf } from '../../dataset/history/word-difference.js';
import { firstLines } from '../folder/report.js';
import { explainNoHistory } from '../remote.js';
import { type Painter, painterOf } from '../terminal/print.js';
import { counted, formatBytes, printable } from '../terminal/text.js';

/** Names on one page, which has their captions. */
const PAGE_SIZE = 500;

/** Of a longer run of equal text, only this many characters at its start and at its end are printed. */
const CONTEXT_CHARACTERS = 60;

/** Yields the difference of two revisions in pages, ordered by filename. @throws TrainyardError also if a page does not advance */
export async function* differencePages(
  client: TrainyardClient,
  { id }: { id: string },
  { signal, ...range }: { from: number; to: number; signal: AbortSignal },
): AsyncGenerator<RevisionDiff> {
  for (let after = ''; ; ) {
    const query = { ...range, limit: PAGE_SIZE, ...(after !== '' && { after }) };
    const page = await client.history.diff(id, query, { signal }).catch(explainNoHistory);
    if (page.next_after !== null && page.next_after <= after) {
      throw invalidAnswer(200, 'its next_after is not after that of the page before.');
    }
    yield page;
    if (page.next_after === null) return;
    after = page.next_after;
  }
}

/** All pages as one document. */
export async function wholeDifference(pages: AsyncIterable<RevisionDiff>): Promise<Omit<RevisionDiff, 'next_after'>> {
  const all: RevisionDiff[] = [];
  for await (const page of pages) all.push(page);
  const { next_after: _, ...whole } = all[0]!;
  return {
    ...whole,
    added: all.flatMap(({ added }) => added),
    removed: all.flatMap(({ removed }) => removed),
    changed: all.flatMap(({ changed }) => changed),
  };
}

/** `railway, revision 11 to 12: 3 files added` */
export function headingOf({ name }: Dataset, { from, to, total }: RevisionDiff): string {
  const heading = `${printable(name)}, revision ${from} to ${to}: ${changeCounts(total) || 'the same files'}`;
  return painterOf(process.stdout)('bold', heading);
}

/** The first files that a rollback changes; there may be more than are on the page. */
export function planLines(plan: RevisionDiff): string[] {
  const { added, removed, changed } = plan.total;
  const more = added + removed + changed - plan.added.length - plan.removed.length - plan.changed.length;
  const lines = firstLines(differenceLines(plan, painterOf(process.stderr)), 'line');
  return more === 0 ? lines : [...lines, `  … and ${counted(more, 'more file')}`];
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
