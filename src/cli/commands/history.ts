import type { Command } from 'commander';
import { MAX_CAPTION_TEXT_BYTES } from '../../api/limits.js';
import { numberIn, revisionArgument } from '../arguments.js';
import { firstLines } from '../folder/report.js';
import { type Call, onDataset } from '../remote.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { type Output, type Painter, painterOf, print, tableLines, withOwnCommand } from '../terminal/print.js';
import { counted, formatBytes, minuteOf, printable } from '../terminal/text.js';
import { canAsk, isConfirmed } from '../terminal/prompts.js';
import type { Dataset, DatasetFile, Revision, RevisionDiff } from '../../client/client.js';
import { shellWord } from '../../command-line.js';
import { wordLines } from '../terminal/word-lines.js';

/** Names on one page, which has their captions. */
const PAGE_SIZE = 500;

const LOG_HELP = `
Examples:
  $ trainyard log wagons
  $ trainyard log wagons --limit 100
  $ trainyard log wagons --json | jq '.revisions[] | select(.how == "push")'

A revision is the set of files after some changes that belong together. BY is the token that made them, by its name.
+ - ~ are the numbers of files that were added, removed and changed.`;

const DIFF_HELP = `
Examples:
  $ trainyard diff wagons          what the last revision changed
  $ trainyard diff wagons 11       what has changed since revision 11
  $ trainyard diff wagons 11 12    what revision 12 changed
  $ trainyard diff wagons 0 1      0 stands for no files

+ is an added file, - a removed one, ~ a changed one, with the words of captions that differ: [-removed-] {+added+}.`;

const ROLLBACK_HELP = `
Examples:
  $ trainyard rollback wagons 11          asks first
  $ trainyard rollback wagons 11 --yes    does not ask, for scripts

Makes a new revision with exactly the files of the old one. Nothing is uploaded again, and the revisions in between stay in
the history, so a rollback can be rolled back. Pending uploads stay.`;

const UNDO_HELP = `
Examples:
  $ trainyard undo wagons 12    reverses what revision 12 changed, and nothing that was changed since

The exit code is 73 if some files were changed again since, and were left as they are.`;

const PIN_HELP = `
Examples:
  $ trainyard pin wagons                                     the latest revision
  $ trainyard pin wagons 12 --note "trained v3 on this"

A pinned revision is kept until it is unpinned or its dataset is deleted.`;

const UNPIN_HELP = `
Examples:
  $ trainyard unpin wagons 12`;

/** Parses the number of a revision, or 0, which stands for no files. */
const revisionOrNone = numberIn({ min: 0, max: Number.MAX_SAFE_INTEGER });

/** `trainyard log|diff|rollback|undo|pin|unpin` */
export function addHistoryCommands(program: Command): void {
  const command = (name: string, description: string) =>
    program.command(name).description(description).argument('<dataset>', 'its name or ID');
  const number = ['<revision>', 'its number, as "trainyard log" shows it', revisionArgument] as const;

  const log = command('log', "List a dataset's revisions, newest first.");
  onDataset(log.option('--limit <number>', 'how many revisions to list', revisionArgument, 20), LOG_HELP, showLog);
  const diff = command('diff', 'Show the files that differ between two revisions, and the words of their captions.')
    .argument('[from]', 'a revision (default: the one before the latest)', revisionOrNone)
    .argument('[to]', 'a revision (default: the latest)', revisionOrNone);
  onDataset(diff, DIFF_HELP, showDifference);
  const rollback = command('rollback', 'Restore the files of an earlier revision of a dataset.')
    .argument(...number)
    .option('--yes', 'do not ask for confirmation');
  onDataset(rollback, ROLLBACK_HELP, rollBack);
  const undoing = command('undo', 'Reverse the changes of one revision.').argument(
    '[revision]',
    number[1],
    revisionArgument,
  );
  onDataset(undoing, UNDO_HELP, undo);
  const pinning = command('pin', 'Keep a revision until it is unpinned.')
    .argument('[revision]', 'its number (default: the latest)', revisionArgument)
    .option('--note <text>', 'why it is kept');
  onDataset(pinning, PIN_HELP, pin);
  onDataset(command('unpin', 'Let a revision expire as others do.').argument(...number), UNPIN_HELP, unpin);
}

async function showLog({ id, name }: Dataset, { client, options, signal }: Call<{ limit: number }>): Promise<Output> {
  const revisions: Revision[] = [];
  for (let before: number | null | undefined; before !== null && revisions.length < options.limit; ) {
    const query = { limit: Math.min(100, options.limit - revisions.length), ...(before && { before }) };
    const page = await client.history.revisions(id, query, { signal });
    revisions.push(...page.revisions);
    before = page.next_before;
  }
  return { document: { id, name, revisions }, lines: tableLines(revisions, noRevisions(name), LOG_COLUMNS) };
}

const LOG_COLUMNS = {
  revision: ({ number }: Revision) => String(number),
  'changed (utc)': ({ changed_at }: Revision) => minuteOf(changed_at),
  by: ({ token, account }: Revision) => token?.name ?? account,
  how: ({ how, restored_from }: Revision) => (restored_from === null ? how : `${how} of ${restored_from}`),
  changes: ({ added, removed, changed }: Revision) =>
    [`+${added}`, `-${removed}`, `~${changed}`].filter((text) => text.slice(1) !== '0').join(' '),
  files: ({ files }: Revision) => files.toLocaleString('en'),
  size: ({ bytes }: Revision) => formatBytes(bytes),
  digest: ({ digest }: Revision) => digest.slice(0, 12),
  '': ({ ready, pinned }: Revision) => {
    const pin = pinned === null ? [] : [pinned.note === null ? 'pinned' : `pinned: ${pinned.note}`];
    return [...(ready ? [] : ['not fit to train on']), ...pin].join(', ');
  },
};

function noRevisions(name: string): string {
  return `"${printable(name)}" has no revisions: no file was ever stored.`;
}

/** @throws CommandError with 66 if no file was ever stored in the dataset */
async function latestRevision({ id, name }: Dataset, { client, signal }: Call): Promise<Revision> {
  const [latest] = (await client.history.revisions(id, { limit: 1 }, { signal })).revisions;
  if (latest !== undefined) return latest;
  throw new CommandError(EXIT.noInput, noRevisions(name));
}

async function showDifference(dataset: Dataset, call: Call, from?: number, to?: number): Promise<Output> {
  const last = to ?? (await latestRevision(dataset, call)).number;
  const difference = await differenceOf(dataset, call, { from: from ?? last - 1, to: last });
  const paint = painterOf(process.stdout);
  const { total } = difference;
  const between = `revision ${difference.from} to ${difference.to}`;
  const heading = `${printable(dataset.name)}, ${between}: ${changeCounts(total) || 'the same files'}`;
  return { document: difference, lines: [paint('bold', heading), ...differenceLines(difference, paint)] };
}

async function rollBack(dataset: Dataset, call: Call<{ yes?: true }>, revision: number): Promise<Output> {
  const { client, options, signal } = call;
  const title = `"${printable(dataset.name)}"`;
  const same = `${title} has exactly the files of revision ${revision} already.`;
  const { number: latest } = await latestRevision(dataset, call);
  const numbers = { from: latest, to: revision };
  const { total } = await client.history.diff(dataset.id, { ...numbers, limit: 1 }, { signal });
  const counts = changeCounts(total);
  if (counts !== '') {
    if (!options.yes && !options.json && canAsk()) {
      const plan = await differenceOf(dataset, call, numbers);
      const lines = firstLines(differenceLines(plan, painterOf(process.stderr)), 'line');
      for (const line of lines) print(line, process.stderr);
    }
    const question = `Roll ${title} back to revision ${revision}: ${counts}?`;
    if (!(await isConfirmed(options, { what: `a rollback of ${title}`, question, signal }))) {
      return { document: { restored: false }, lines: ['Nothing was changed.'] };
    }
  }
  const document = await client.history.restore(dataset.id, revision, { signal });
  const { restored, revision: made } = document;
  if (!restored) return { document, lines: [same] };
  const done = `Restored revision ${revision} of ${title} as revision ${made.number}: ${changeCounts(made)}.`;
  return { document, lines: [`${done} ${withOwnCommand(`To go back, ${undoLine(dataset, made.number)}`)}`] };
}

async function undo(dataset: Dataset, call: Call, revision?: number): Promise<Output> {
  if (revision === undefined) {
    const { number } = await latestRevision(dataset, call);
    throw new CommandError(EXIT.usage, `no revision is named. To undo the latest one, ${undoLine(dataset, number)}`);
  }
  const answer = await call.client.history.undo(dataset.id, revision, { signal: call.signal });
  const { revision: made, undone, kept } = answer;
  if (kept.length > 0) process.exitCode = EXIT.cannotCreate;
  const title = `"${printable(dataset.name)}"`;
  const paint = painterOf(process.stderr);
  const left = kept.map((filename) => `! ${printable(filename)} was changed again since, and was left as it is`);
  if (!call.options.json) for (const line of firstLines(left, 'file')) print(paint('yellow', line), process.stderr);
  const nothing = `Nothing of revision ${revision} of ${title} is left to undo.`;
  if (made === null) return { document: answer, lines: [nothing] };
  const counts = `${counted(undone.length, 'file')}: ${changeCounts(made)}`;
  const line = `Reversed revision ${revision} of ${title} as revision ${made.number}, ${counts}.`;
  return { document: answer, lines: [line] };
}

function undoLine({ name }: Dataset, revision: number): string {
  return `run: trainyard undo ${shellWord(printable(name))} ${revision}`;
}

async function pin(dataset: Dataset, call: Call<{ note?: string }>, revision?: number): Promise<Output> {
  const { client, options, signal } = call;
  const number = revision ?? (await latestRevision(dataset, call)).number;
  const pinned = await client.history.pin(dataset.id, number, { note: options.note, signal });
  const line = `Pinned revision ${pinned.number} of "${printable(dataset.name)}" (${counted(pinned.files, 'file')}).`;
  return { document: pinned, lines: [line] };
}

async function unpin(dataset: Dataset, { client, signal }: Call, revision: number): Promise<Output> {
  const unpinned = await client.history.unpin(dataset.id, revision, { signal });
  const line = `Revision ${unpinned.number} of "${printable(dataset.name)}" is no longer pinned.`;
  return { document: unpinned, lines: [line] };
}

/** All files that differ between two revisions. */
async function differenceOf({ id }: Dataset, { client, signal }: Call, range: { from: number; to: number }) {
  const query = { ...range, limit: PAGE_SIZE };
  const { next_after, ...whole } = await client.history.diff(id, query, { signal });
  for (let after = next_after; after !== null; ) {
    const page = await client.history.diff(id, { ...query, after }, { signal });
    whole.added.push(...page.added);
    whole.removed.push(...page.removed);
    whole.changed.push(...page.changed);
    after = page.next_after;
  }
  return whole;
}

/** Empty if there are no changes. */
function changeCounts({ added, removed, changed }: RevisionDiff['total']): string {
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

type Difference = Awaited<ReturnType<typeof differenceOf>>;

function differenceLines({ added, removed, changed }: Difference, paint: Painter): string[] {
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

/** True for a short caption of which the store has lost the bytes; longer ones come without their texts. */
function isLost({ kind, size_bytes }: DatasetFile, text: string | undefined): boolean {
  return kind === 'caption' && text === undefined && size_bytes <= MAX_CAPTION_TEXT_BYTES;
}

function describe({ filename, size_bytes }: DatasetFile): string {
  return `${printable(filename)}  ${formatBytes(size_bytes)}`;
}
