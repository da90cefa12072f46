import { type Command, Option } from 'commander';
import type { Dataset, DatasetWithFiles, Role, Status } from '../../client/client.js';
import { jsonText } from '../../json-text.js';
import { roleOption } from '../arguments.js';
import { firstLines, kindCounts } from '../folder/report.js';
import { linkLines, STATUS_COLOURS } from '../pairs/link-lines.js';
import { statusLines } from '../push/output.js';
import { type Call, onDataset, onService } from '../remote.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { withOwnCommand } from '../terminal/own-command.js';
import { type Output, painterOf, print, printJson, titledTable } from '../terminal/print.js';
import { isConfirmed } from '../terminal/prompts.js';
import { counted, formatBytes, minuteOf, printable } from '../terminal/text.js';

const STATUSES = ['DRAFT', 'UPLOADING', 'READY', 'FAILED'] as const satisfies readonly Status[];

const LS_HELP = `
Examples:
  $ trainyard ls
  $ trainyard ls --status FAILED
  $ trainyard ls --role control
  $ trainyard ls --json | jq -r '.datasets[].name'`;

const STATUS_HELP = `
Examples:
  $ trainyard status wagons
  $ trainyard status wagons --watch && echo "ready to train"

The exit code is 1 if the dataset is FAILED. With --watch, --json prints a document for each change, each on one line.`;

const RM_HELP = `
Examples:
  $ trainyard rm wagons          asks first
  $ trainyard rm wagons --yes    does not ask, for scripts`;

/** `trainyard ls|status|rm` */
export function addDatasetCommands(program: Command): void {
  const ls = program
    .command('ls')
    .description('List your datasets, newest first.')
    .addOption(
      new Option('--status <status>', 'only datasets with this status').choices(STATUSES).argParser(parseStatus),
    )
    .addOption(roleOption('only datasets with this role: training, control or mask'));
  onService(ls, LS_HELP, list);
  const status = program
    .command('status')
    .description("Show a dataset's status and all its problems.")
    .argument('<dataset>', 'its name or ID')
    .option('--watch', 'wait until it is READY or FAILED, and print every change');
  onDataset(status, STATUS_HELP, showStatus);
  const rm = program
    .command('rm')
    .description('Delete a dataset and all its files.')
    .argument('<dataset>', 'its name or ID')
    .option('--yes', 'do not ask for confirmation');
  onDataset(rm, RM_HELP, remove);
}

function parseStatus(text: string): string {
  const status = text.toUpperCase();
  if ((STATUSES as readonly string[]).includes(status)) return status;
  const message = `${JSON.stringify(text)} is not a status. The statuses are ${STATUSES.join(', ')}.`;
  throw new CommandError(EXIT.usage, message);
}

async function list({ client, options, signal }: Call<{ status?: Status; role?: Role }>): Promise<Output> {
  const { status: wanted, role } = options;
  const datasets = (await client.list({ signal })).filter(
    (dataset) => (wanted ?? dataset.status) === dataset.status && (role ?? roleOf(dataset)) === roleOf(dataset),
  );
  const filters = [wanted, role && `a ${role} dataset`].filter((word) => word !== undefined);
  if (datasets.length > 0) return { document: { datasets }, lines: listLines(datasets) };
  const line =
    filters.length > 0
      ? `No dataset is ${filters.join(' and ')}.`
      : withOwnCommand('You have no datasets yet. To create one, run: trainyard push DIR');
  return { document: { datasets }, lines: [line] };
}

function listLines(datasets: readonly Dataset[]): string[] {
  const hasRoles = datasets.some((dataset) => roleOf(dataset) !== 'training');
  const rows = datasets.map((dataset) => [
    dataset.name,
    ...(hasRoles ? [roleOf(dataset)] : []),
    dataset.status,
    contentOf(dataset),
    dataset.size_bytes === undefined ? '' : formatBytes(dataset.size_bytes),
    minuteOf(dataset.updated_at),
    dataset.id,
  ]);
  const titles = ['NAME', ...(hasRoles ? ['ROLE'] : []), 'STATUS', 'FILES', 'SIZE', 'CHANGED (UTC)', 'ID'];
  return titledTable(titles, rows, (cell, title) => (title === 'STATUS' ? STATUS_COLOURS[cell as Status] : undefined));
}

/** A service without roles has training datasets. */
function roleOf({ role = 'training' }: Dataset): Role {
  return role;
}

/** `12 images, 1 video, 13 captions`; empty for a service that reports no counts. */
function contentOf({ counts }: Dataset): string {
  if (counts === undefined) return '';
  const { images, videos, captions } = counts;
  return kindCounts({ image: images, video: videos, caption: captions }).join(', ');
}

async function showStatus(
  { id }: Dataset,
  { client, options, signal }: Call<{ watch?: true }>,
): Promise<Output | undefined> {
  let printed = '';
  const printChange = (dataset: DatasetWithFiles) => {
    const { files: _, ...summary } = dataset;
    const line = jsonText(summary);
    if (line === printed) return;
    printed = line;
    if (options.json && options.watch) print(line);
    else if (options.json) printJson(summary);
    else for (const each of [summaryLine(dataset), ...detailLines(dataset)]) print(each);
  };
  const dataset = options.watch
    ? await client.waitUntilReady(id, { signal, onStatus: printChange })
    : await client.status(id, { signal });
  printChange(dataset);
  if (dataset.status === 'FAILED') process.exitCode = EXIT.notFit;
  return undefined;
}

function summaryLine(dataset: DatasetWithFiles): string {
  const bytes = dataset.files.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
  const { pending = 0, checking = 0, rejected = 0 } = dataset.counts ?? {};
  const unfinished = [
    ...(pending === 0 ? [] : [counted(pending, 'pending upload')]),
    ...(checking === 0 ? [] : [`${counted(checking, 'file')} being checked`]),
    ...(rejected === 0 ? [] : [counted(rejected, 'rejected upload')]),
  ];
  const role = roleOf(dataset) === 'training' ? '' : `${printable(roleOf(dataset))} dataset, `;
  const content = contentOf(dataset) || counted(dataset.files.length, 'file');
  const name = painterOf(process.stdout)('bold', printable(dataset.name));
  return `${name}  ${role}${[content, formatBytes(bytes), ...unfinished].join(', ')}`;
}

function detailLines(dataset: DatasetWithFiles): string[] {
  const paint = painterOf(process.stdout);
  const hourOf = (time: string) => `${time.slice(11, 16)} UTC`;
  const { awaited = [], checking = [], warnings = [] } = dataset;
  return [
    ...linkLines(dataset, paint),
    ...statusLines(dataset, paint),
    ...firstLines(
      awaited.map(({ filename, until }) => `waiting for ${printable(filename)} until ${hourOf(until)}`),
      'file',
    ),
    ...firstLines(
      checking.map(({ filename, since }) => `checking ${printable(filename)} since ${hourOf(since)}`),
      'file',
    ),
    ...firstLines(
      warnings.map(({ message }) => paint('yellow', `! ${printable(message)}`)),
      'warning',
    ),
  ];
}

async function remove(dataset: Dataset, { client, options, signal }: Call<{ yes?: true }>): Promise<Output> {
  const { id, name } = dataset;
  const title = `"${printable(name)}"`;
  const question = `Delete ${title} (${contentOf(dataset) || 'all its files'})? This can't be undone.`;
  if (!(await isConfirmed(options, { what: `deleting ${title}`, question, signal }))) {
    return { document: { id, name, deleted: false }, lines: ['Nothing was deleted.'] };
  }
  await client.remove(id, { signal });
  return { document: { id, name, deleted: true }, lines: [`Deleted ${title}.`] };
}
