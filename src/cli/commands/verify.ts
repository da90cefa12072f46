import type { Command } from 'commander';
import type { Dataset, Recheck } from '../../client/client.js';
import { sleep } from '../../client/retry.js';
import { undefinedOn } from '../../dataset/errors.js';
import { firstLines } from '../folder/report.js';
import { type Call, explainMissingRoute, mustFind, NO_DATASETS, onService } from '../remote.js';
import { CommandError, EXIT, endingOf } from '../terminal/exit-codes.js';
import { type Output, painterOf, problemLine, withOwnCommand } from '../terminal/print.js';
import { counted, printable } from '../terminal/text.js';
import { bar, percent } from '../terminal/progress.js';

const POLL_INTERVAL_MS = 500;

const HELP = `
Examples:
  $ trainyard verify wagons              every file of the dataset
  $ trainyard verify                     of all your datasets
  $ trainyard verify wagons --no-start   the progress or the result of the last verification

The service reads every stored file, compares it with its SHA-256, and inspects it again with the checks that it has today. It
continues if the command is interrupted; the same command then continues to show the progress. A damaged file is kept, and makes
its dataset FAILED.

Exit codes: 0 no file is damaged, 1 some are, 66 no such dataset, 69 or 75 the service is unavailable, 130 interrupted.`;

interface Checked {
  readonly dataset: Dataset;
  readonly recheck: Recheck;
}

/** `trainyard verify` */
export function addVerifyCommand(program: Command): Command {
  const command = program
    .command('verify')
    .alias('recheck')
    .description('Read and inspect all files of a dataset again, and list those that are damaged.')
    .argument('[dataset]', 'its name or ID (default: all your datasets)')
    .option('--no-start', 'start nothing, and show the last verification')
    .option('--no-wait', 'do not wait for the end');
  return onService(command, HELP, verifyDatasets);
}

interface VerifyOptions {
  readonly start: boolean;
  readonly wait: boolean;
}

export async function verifyDatasets(call: Call<VerifyOptions>, name?: string): Promise<Output> {
  const { client, signal } = call;
  const datasets = name === undefined ? await client.list({ signal }) : [await mustFind(client, name, signal)];
  try {
    const rechecks = await recheckAll(datasets, call);
    const current = await client.list({ signal });
    const checked = [...rechecks].flatMap(([id, recheck]) =>
      current.filter((dataset) => dataset.id === id).map((dataset) => ({ dataset, recheck })),
    );
    if (checked.some(({ recheck: { problems } }) => problems.length > 0)) process.exitCode = EXIT.notFit;
    const documents = checked.map(({ dataset: { id, name, status }, recheck: { dataset_id: _, ...progress } }) => {
      return { id, name, status, ...progress };
    });
    return { document: { datasets: documents }, lines: linesOf(checked) };
  } catch (error) {
    if (endingOf(error).code !== EXIT.interrupted) throw error;
    const message = 'interrupted. The service continues; to see the progress, run the same command again.';
    throw new CommandError(EXIT.interrupted, message, { cause: error });
  }
}

/** @returns rechecks by the ids of datasets that still exist */
async function recheckAll(
  datasets: readonly Dataset[],
  { client, options, signal, display }: Call<VerifyOptions>,
): Promise<Map<string, Recheck>> {
  const rechecks = new Map<string, Recheck>();
  const record = async (id: string, answer: Promise<Recheck>) => {
    const found = await answer.catch(undefinedOn('dataset_not_found')).catch(explainMissingRoute);
    if (found === undefined) rechecks.delete(id);
    else rechecks.set(id, found);
    display.update(() => [progressLine([...rechecks.values()])]);
  };
  for (const { id } of datasets) {
    await record(id, options.start ? client.rechecks.start(id, { signal }) : client.rechecks.progress(id, { signal }));
  }
  // The service rechecks datasets in the order in which their rechecks were started.
  for (const { id } of datasets) {
    while (options.wait && rechecks.get(id)?.state === 'running') {
      await sleep(POLL_INTERVAL_MS, signal);
      await record(id, client.rechecks.progress(id, { signal }));
    }
  }
  return rechecks;
}

function progressLine(rechecks: readonly Recheck[]): string {
  const sum = (numberOf: (recheck: Recheck) => number) => rechecks.reduce((all, each) => all + numberOf(each), 0);
  const total = sum((recheck) => recheck.total);
  // Files that were deleted since the start are not checked.
  const checked = sum((recheck) =>
    recheck.state === 'running' ? Math.min(recheck.checked, recheck.total) : recheck.total,
  );
  const problems = sum((recheck) => recheck.problems.length);
  const found = problems === 0 ? '' : `, ${problems.toLocaleString('en')} damaged`;
  const files = `${checked.toLocaleString('en')} of ${counted(total, 'file')}`;
  return `${bar(checked, total)} ${percent(checked, total)}  checked ${files}${found}`;
}

function linesOf(checked: readonly Checked[]): string[] {
  if (checked.length === 0) return [withOwnCommand(NO_DATASETS)];
  const paint = painterOf(process.stdout);
  return checked.flatMap(({ dataset, recheck }) => {
    const problems = recheck.problems.map(({ message }) => problemLine(paint, '✗', message));
    const heading = `${paint('bold', printable(dataset.name))}  ${summaryOf(recheck)}; the dataset is ${dataset.status}`;
    return [heading, ...firstLines(problems, 'damaged file')];
  });
}

function summaryOf({ state, checked, total, problems }: Recheck): string {
  if (state === 'never') return 'never verified';
  const damaged = problems.length === 0 ? 'none is damaged' : counted(problems.length, 'damaged file');
  if (state !== 'running') return `${counted(checked, 'file')} checked, ${damaged}`;
  return `${checked.toLocaleString('en')} of ${counted(total, 'file')} checked so far, ${damaged}`;
}
