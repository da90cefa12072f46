import type { RevisionDiff } from '../../../client/client.js';
import { shellWord } from '../../../command-line.js';
import { firstLines } from '../../folder/report.js';
import { clientFrom, mustFind, type RemoteOptions } from '../../remote.js';
import { CommandError, EXIT } from '../../terminal/exit-codes.js';
import { withOwnCommand } from '../../terminal/own-command.js';
import { painterOf, print, printJson } from '../../terminal/print.js';
import { canAsk, confirms } from '../../terminal/prompts.js';
import { counted, printable } from '../../terminal/text.js';
import { changeCounts, differenceLines, firstDifferencePage } from './diff.js';
import { explainNoHistory, latestRevision } from './revisions.js';

interface RevisionOptions extends RemoteOptions {
  readonly revision: number;
}

/** `trainyard rollback` */
export async function rollBack(
  name: string,
  options: RevisionOptions & { yes?: true },
  signal: AbortSignal,
): Promise<void> {
  const client = clientFrom(options);
  const dataset = await mustFind(client, name, signal);
  const { revision } = options;
  const title = printable(dataset.name);
  const { number: latest } = await latestRevision(client, dataset, signal);
  const plan = await firstDifferencePage(client, dataset, { from: latest, to: revision, signal });
  const counts = changeCounts(plan.total);
  if (counts === '') {
    if (options.json) return printJson(await client.history.restore(dataset.id, revision, { signal }));
    return print(`"${title}" has exactly the files of revision ${revision} already.`);
  }
  if (!options.yes) {
    if (options.json || !canAsk()) {
      const message = `a rollback of "${title}" needs your confirmation on a terminal. To do it without, add --yes.`;
      throw new CommandError(EXIT.usage, message);
    }
    for (const line of planLines(plan)) print(line, process.stderr);
    if (!(await confirms(`Roll "${title}" back to revision ${revision}: ${counts}?`, signal))) {
      return print('Nothing was changed.');
    }
  }
  const answer = await client.history.restore(dataset.id, revision, { signal });
  if (options.json) return printJson(answer);
  const { restored, revision: made } = answer;
  if (!restored) return print(`"${title}" has exactly the files of revision ${revision} already.`);
  const back = withOwnCommand(`To go back, run: trainyard undo ${shellWord(title)} ${made.number}`);
  print(`Restored revision ${revision} of "${title}" as revision ${made.number}: ${changeCounts(made)}. ${back}`);
}

/** The first files that a rollback changes; there may be more than fit on a page. */
function planLines(plan: RevisionDiff): string[] {
  const { added, removed, changed } = plan.total;
  const lines = differenceLines(plan, painterOf(process.stderr));
  const shown = plan.added.length + plan.removed.length + plan.changed.length;
  const more = added + removed + changed - shown;
  return more === 0
    ? firstLines(lines, 'line')
    : [...firstLines(lines, 'line'), `  … and ${counted(more, 'more file')}`];
}

/** `trainyard undo` */
export async function undo(name: string, options: RevisionOptions, signal: AbortSignal): Promise<void> {
  const client = clientFrom(options);
  const dataset = await mustFind(client, name, signal);
  const { revision } = options;
  const answer = await client.history.undo(dataset.id, revision, { signal }).catch(explainNoHistory);
  const { revision: made, undone, kept } = answer;
  if (kept.length > 0) process.exitCode = EXIT.cannotCreate;
  if (options.json) return printJson(answer);
  const title = printable(dataset.name);
  if (made === null) print(`Nothing of revision ${revision} of "${title}" is left to undo.`);
  else {
    const counts = `${counted(undone.length, 'file')}: ${changeCounts(made)}`;
    print(`Reversed revision ${revision} of "${title}" as revision ${made.number}, ${counts}.`);
  }
  const lines = kept.map((filename) => `! ${printable(filename)} was changed again since, and was left as it is`);
  const paint = painterOf(process.stderr);
  for (const line of firstLines(lines, 'file')) print(paint('yellow', line), process.stderr);
}
