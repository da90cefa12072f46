import type { Command } from 'commander';
import type { Dataset, Revision, TrainyardClient } from '../../client/client.js';
import { invalidAnswer } from '../../client/trainyard-error.js';
import { shellWord } from '../../command-line.js';
import { numberIn, revisionArgument } from '../arguments.js';
import { firstLines } from '../folder/report.js';
import { type Call, explainNoHistory, onDataset } from '../remote.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { withOwnCommand } from '../terminal/own-command.js';
import { type Output, painterOf, print, titledTable } from '../terminal/print.js';
import { canAsk, isConfirmed } from '../terminal/prompts.js';
import { counted, formatBytes, minuteOf, printable } from '../terminal/text.js';
import { changeCounts, differenceLines, differencePages, headingOf, planLines, wholeDifference } from './diff.js';

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
  onDataset(command('undo', 'Reverse the changes of one revision.').argument(...number), UNDO_HELP, undo);
  const pinning = command('pin', 'Keep a revision until it is unpinned.')
    .argument('[revision]', 'its number (default: the latest)', revisionArgument)
    .option('--note <text>', 'why it is kept');
  onDataset(pinning, PIN_HELP, pin);
  onDataset(command('unpin', 'Let a revision expire as others do.').argument(...number), UNPIN_HELP, unpin);
}

async function showLog({ id, name }: Dataset, { client, options, signal }: Call<{ limit: number }>): Promise<Output> {
  const revisions: Revision[] = [];
  for (let before: number | undefined; revisions.length < options.limit; ) {
    const query = { limit: Math.min(100, options.limit - revisions.length), ...(before !== undefined && { before }) };
    const page = await client.history.revisions(id, query, { signal }).catch(explainNoHistory);
    revisions.push(...page.revisions);
    if (page.next_before === null) break;
    if (page.next_before >= (before ?? Number.POSITIVE_INFINITY)) {
      throw invalidAnswer(200, 'its next_before is not smaller than that of the page before.');
    }
    before = page.next_before;
  }
  const none = `"${printable(name)}" has no revisions: no file was ever stored.`;
  const lines = revisions.length > 0 ? titledTable(HEADINGS, revisions.map(rowOf)) : [none];
  return { document: { id, name, revisions }, lines };
}

const HEADINGS = ['REVISION', 'CHANGED (UTC)', 'BY', 'HOW', 'CHANGES', 'FILES', 'SIZE', 'DIGEST', ''];

function rowOf(revision: Revision): string[] {
  const { number, changed_at, token, account, how, restored_from, added, removed, changed, files, bytes } = revision;
  const { digest, ready, pinned } = revision;
  const counts = [`+${added}`, `-${removed}`, `~${changed}`].filter((text) => !text.endsWith('0') || text.length > 2);
  const remarks = [
    ...(ready ? [] : ['not fit to train on']),
    ...(pinned === null ? [] : [pinned.note === null ? 'pinned' : `pinned: ${pinned.note}`]),
  ];
  return [
    String(number),
    minuteOf(changed_at),
    token?.name ?? account,
    restored_from === null ? how : `${how} of ${restored_from}`,
    counts.join(' '),
    files.toLocaleString('en'),
    formatBytes(bytes),
    digest.slice(0, 12),
    remarks.join(', '),
  ];
}

/** @throws CommandError with 66 if no file was ever stored in the dataset */
async function latestRevision(client: TrainyardClient, { id, name }: Dataset, signal: AbortSignal): Promise<Revision> {
  const { revisions } = await client.history.revisions(id, { limit: 1 }, { signal }).catch(explainNoHistory);
  const [latest] = revisions;
  if (latest !== undefined) return latest;
  throw new CommandError(EXIT.noInput, `"${printable(name)}" has no revisions: no file was ever stored.`);
}

async function showDifference(
  dataset: Dataset,
  { client, options, signal }: Call,
  from: number | undefined,
  to: number | undefined,
): Promise<Output | undefined> {
  const last = to ?? (await latestRevision(client, dataset, signal)).number;
  const pages = differencePages(client, dataset, { from: from ?? last - 1, to: last, signal });
  if (options.json) return { document: await wholeDifference(pages), lines: [] };
  let isFirst = true;
  for await (const page of pages) {
    if (isFirst) print(headingOf(dataset, page));
    isFirst = false;
    for (const line of differenceLines(page, painterOf(process.stdout))) print(line);
  }
  return undefined;
}

async function rollBack(
  dataset: Dataset,
  { client, options, signal }: Call<{ yes?: true }>,
  revision: number,
): Promise<Output> {
  const title = `"${printable(dataset.name)}"`;
  const same = `${title} has exactly the files of revision ${revision} already.`;
  const { number: latest } = await latestRevision(client, dataset, signal);
  const plan = (await differencePages(client, dataset, { from: latest, to: revision, signal }).next()).value!;
  const counts = changeCounts(plan.total);
  if (counts !== '') {
    if (!options.yes && !options.json && canAsk()) for (const line of planLines(plan)) print(line, process.stderr);
    const question = `Roll ${title} back to revision ${revision}: ${counts}?`;
    if (!(await isConfirmed(options, { what: `a rollback of ${title}`, question, signal }))) {
      return { document: { restored: false }, lines: ['Nothing was changed.'] };
    }
  }
  const document = await client.history.restore(dataset.id, revision, { signal });
  const { restored, revision: made } = document;
  if (!restored) return { document, lines: [same] };
  const done = `Restored revision ${revision} of ${title} as revision ${made.number}: ${changeCounts(made)}.`;
  const undoing = `To go back, run: trainyard undo ${shellWord(printable(dataset.name))} ${made.number}`;
  return { document, lines: [`${done} ${withOwnCommand(undoing)}`] };
}

async function undo(dataset: Dataset, { client, options, signal }: Call, revision: number): Promise<Output> {
  const answer = await client.history.undo(dataset.id, revision, { signal }).catch(explainNoHistory);
  const { revision: made, undone, kept } = answer;
  if (kept.length > 0) process.exitCode = EXIT.cannotCreate;
  const title = `"${printable(dataset.name)}"`;
  const paint = painterOf(process.stderr);
  const left = kept.map((filename) => `! ${printable(filename)} was changed again since, and was left as it is`);
  if (!options.json) for (const line of firstLines(left, 'file')) print(paint('yellow', line), process.stderr);
  if (made === null)
    return { document: answer, lines: [`Nothing of revision ${revision} of ${title} is left to undo.`] };
  const counts = `${counted(undone.length, 'file')}: ${changeCounts(made)}`;
  const line = `Reversed revision ${revision} of ${title} as revision ${made.number}, ${counts}.`;
  return { document: answer, lines: [line] };
}

async function pin(
  dataset: Dataset,
  { client, options, signal }: Call<{ note?: string }>,
  revision: number | undefined,
): Promise<Output> {
  const number = revision ?? (await latestRevision(client, dataset, signal)).number;
  const note = options.note === undefined ? {} : { note: options.note };
  const pinned = await client.history.pin(dataset.id, number, { ...note, signal }).catch(explainNoHistory);
  const line = `Pinned revision ${pinned.number} of "${printable(dataset.name)}" (${counted(pinned.files, 'file')}).`;
  return { document: pinned, lines: [line] };
}

async function unpin(dataset: Dataset, { client, signal }: Call, revision: number): Promise<Output> {
  const unpinned = await client.history.unpin(dataset.id, revision, { signal }).catch(explainNoHistory);
  const line = `Revision ${unpinned.number} of "${printable(dataset.name)}" is no longer pinned.`;
  return { document: unpinned, lines: [line] };
}
