import type { Command } from 'commander';
import type { Revision } from '../../../client/client.js';
import { invalidAnswer } from '../../../client/trainyard-error.js';
import { addRemoteOptions, clientFrom, mustFind, type RemoteOptions } from '../../remote.js';
import { interruptible } from '../../terminal/exit-codes.js';
import { painterOf, print, printJson } from '../../terminal/print.js';
import { counted, formatBytes, printable, tableOf } from '../../terminal/text.js';
import { showDifference } from './diff.js';
import { explainNoHistory, latestRevision, revisionArgument, revisionOrNone } from './revisions.js';
import { rollBack, undo } from './rollback.js';

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

/** `trainyard log|diff|rollback|undo|pin|unpin` */
export function addHistoryCommands(program: Command): void {
  const command = (name: string, description: string) =>
    program.command(name).description(description).argument('<dataset>', 'its name or ID');

  const log = command('log', "List a dataset's revisions, newest first.")
    .option('--limit <number>', 'how many revisions to list', revisionArgument, 20)
    .action((name, options) => interruptible((signal) => showLog(name, options, signal)));
  addRemoteOptions(log).addHelpText('after', LOG_HELP);

  const diff = command('diff', 'Show the files that differ between two revisions, and the words of their captions.')
    .argument('[from]', 'a revision (default: the one before the latest)', revisionOrNone)
    .argument('[to]', 'a revision (default: the latest)', revisionOrNone)
    .action((name, from, to, options) =>
      interruptible((signal) => showDifference(name, { ...options, from, to }, signal)),
    );
  addRemoteOptions(diff).addHelpText('after', DIFF_HELP);

  const rollback = command('rollback', 'Restore the files of an earlier revision of a dataset.')
    .argument('<revision>', 'its number, as "trainyard log" shows it', revisionArgument)
    .option('--yes', 'do not ask for confirmation')
    .action((name, number, options) =>
      interruptible((signal) => rollBack(name, { ...options, revision: number }, signal)),
    );
  addRemoteOptions(rollback).addHelpText('after', ROLLBACK_HELP);

  const undoing = command('undo', 'Reverse the changes of one revision.')
    .argument('<revision>', 'its number, as "trainyard log" shows it', revisionArgument)
    .action((name, number, options) => interruptible((signal) => undo(name, { ...options, revision: number }, signal)));
  addRemoteOptions(undoing).addHelpText('after', UNDO_HELP);

  const pinning = command('pin', 'Keep a revision until it is unpinned.')
    .argument('[revision]', 'its number (default: the latest)', revisionArgument)
    .option('--note <text>', 'why it is kept')
    .action((name, number, options) => interruptible((signal) => pin(name, { ...options, revision: number }, signal)));
  addRemoteOptions(pinning).addHelpText('after', PIN_HELP);

  const unpinning = command('unpin', 'Keep a revision only as long as others.')
    .argument('<revision>', 'its number, as "trainyard log" shows it', revisionArgument)
    .action((name, number, options) =>
      interruptible((signal) => unpin(name, { ...options, revision: number }, signal)),
    );
  addRemoteOptions(unpinning).addHelpText('after', UNPIN_HELP);
}

async function showLog(name: string, options: RemoteOptions & { limit: number }, signal: AbortSignal): Promise<void> {
  const client = clientFrom(options);
  const dataset = await mustFind(client, name, signal);
  const revisions: Revision[] = [];
  for (let before: number | undefined; revisions.length < options.limit; ) {
    const query = { limit: Math.min(100, options.limit - revisions.length), ...(before !== undefined && { before }) };
    const page = await client.history.revisions(dataset.id, query, { signal }).catch(explainNoHistory);
    if (page.revisions.length > query.limit)
      throw invalidAnswer(200, 'its page has more revisions than were asked for.');
    revisions.push(...page.revisions);
    if (page.next_before === null || page.revisions.length === 0) break;
    if (before !== undefined && page.next_before >= before) {
      throw invalidAnswer(200, 'its next_before is not smaller than that of the page before.');
    }
    before = page.next_before;
  }
  if (options.json) return printJson({ id: dataset.id, name: dataset.name, revisions });
  if (revisions.length === 0) return print(`"${printable(dataset.name)}" has no revisions: no file was ever stored.`);
  const [heading = '', ...lines] = tableOf([HEADINGS, ...revisions.map(rowOf)]);
  print([painterOf(process.stdout)('bold', heading), ...lines].join('\n'));
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
    changed_at.slice(0, 16).replace('T', ' '),
    printable(token?.name ?? account),
    printable(restored_from === null ? how : `${how} of ${restored_from}`),
    counts.join(' '),
    files.toLocaleString('en'),
    formatBytes(bytes),
    digest.slice(0, 12),
    printable(remarks.join(', ')),
  ];
}

async function pin(
  name: string,
  options: RemoteOptions & { revision: number | undefined; note?: string },
  signal: AbortSignal,
): Promise<void> {
  const client = clientFrom(options);
  const dataset = await mustFind(client, name, signal);
  const number = options.revision ?? (await latestRevision(client, dataset, signal)).number;
  const note = options.note === undefined ? {} : { note: options.note };
  const pinned = await client.history.pin(dataset.id, number, { ...note, signal }).catch(explainNoHistory);
  if (options.json) printJson(pinned);
  else print(`Pinned revision ${pinned.number} of "${printable(dataset.name)}" (${counted(pinned.files, 'file')}).`);
}

async function unpin(name: string, options: RemoteOptions & { revision: number }, signal: AbortSignal): Promise<void> {
  const client = clientFrom(options);
  const dataset = await mustFind(client, name, signal);
  const unpinned = await client.history.unpin(dataset.id, options.revision, { signal }).catch(explainNoHistory);
  if (options.json) printJson(unpinned);
  else print(`Revision ${unpinned.number} of "${printable(dataset.name)}" is no longer pinned.`);
}
