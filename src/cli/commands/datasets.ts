import { type Command, Option } from 'commander';
import type { Dataset, DatasetWithFiles, Role, Status } from '../../client/client.js';
import { firstLines, kindCounts } from '../folder/report.js';
import { linkLines, STATUS_COLOURS } from '../pairs/link-lines.js';
import { statusLines } from '../push/output.js';
import { addRemoteOptions, clientFrom, mustFind, type RemoteOptions } from '../remote.js';
import { roleOption } from '../role-option.js';
import { CommandError, EXIT, interruptible } from '../terminal/exit-codes.js';
import { withOwnCommand } from '../terminal/own-command.js';
import { painterOf, print, printJson } from '../terminal/print.js';
import { canAsk, confirms } from '../terminal/prompts.js';
import { jsonText } from '../../json-text.js';
import { counted, formatBytes, printable, tableOf } from '../terminal/text.js';

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
    .addOption(roleOption('only datasets with this role: training, control or mask'))
    .action((options) => interruptible((signal) => list(options, signal)));
  addRemoteOptions(ls).addHelpText('after', LS_HELP);
  const status = program
    .command('status')
    .description("Show a dataset's status and all its problems.")
    .argument('<dataset>', 'its name or ID')
    .option('--watch', 'wait until it is READY or FAILED, and print every change')
    .action((name, options) => interruptible((signal) => showStatus(name, options, signal)));
  addRemoteOptions(status).addHelpText('after', STATUS_HELP);
  const rm = program
    .command('rm')
    .description('Delete a dataset and all its files.')
    .argument('<dataset>', 'its name or ID')
    .option('--yes', 'do not ask for confirmation')
    .action((name, options) => interruptible((signal) => remove(name, options, signal)));
  addRemoteOptions(rm).addHelpText('after', RM_HELP);
}

function parseStatus(text: string): string {
  const status = text.toUpperCase();
  if ((STATUSES as readonly string[]).includes(status)) return status;
  const message = `${JSON.stringify(text)} is not a status. The statuses are ${STATUSES.join(', ')}.`;
  throw new CommandError(EXIT.usage, message);
}

interface ListOptions extends RemoteOptions {
  readonly status?: Status;
  readonly role?: Role;
}

async function list({ status: wanted, role, ...options }: ListOptions, signal: AbortSignal): Promise<void> {
  const all = await clientFrom(options).list({ signal });
  const datasets = all.filter(
    (dataset) => (wanted ?? dataset.status) === dataset.status && (role ?? roleOf(dataset)) === roleOf(dataset),
  );
  if (options.json) return printJson({ datasets });
  if (datasets.length === 0) {
    const words = [wanted, role && `a ${role} dataset`].filter((word) => word !== undefined);
    if (words.length > 0) return print(`No dataset is ${words.join(' and ')}.`);
    return print(withOwnCommand('You have no datasets yet. To create one, run: trainyard push DIR'));
  }
  const hasRoles = datasets.some((dataset) => roleOf(dataset) !== 'training');
  const rows = datasets.map((dataset) => [
    printable(dataset.name),
    ...(hasRoles ? [printable(roleOf(dataset))] : []),
    dataset.status,
    contentOf(dataset),
    dataset.size_bytes === undefined ? '' : formatBytes(dataset.size_bytes),
    dataset.updated_at.slice(0, 16).replace('T', ' '),
    printable(dataset.id),
  ]);
  const paint = painterOf(process.stdout);
  const titles = ['NAME', ...(hasRoles ? ['ROLE'] : []), 'STATUS', 'FILES', 'SIZE', 'CHANGED (UTC)', 'ID'];
  const [heading = '', ...lines] = tableOf([titles, ...rows]);
  print(paint('bold', heading));
  for (const [index, line] of lines.entries()) {
    const status = datasets[index]?.status ?? 'DRAFT';
    // The name comes first, and may contain the same word.
    const at = line.indexOf(status, printable(datasets[index]?.name ?? '').length);
    print(line.slice(0, at) + paint(STATUS_COLOURS[status], status) + line.slice(at + status.length));
  }
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

async function showStatus(name: string, options: RemoteOptions & { watch?: true }, signal: AbortSignal): Promise<void> {
  const client = clientFrom(options);
  const { id } = await mustFind(client, name, signal);
  let printed = '';
  const printChange = (dataset: DatasetWithFiles) => {
    const { files: _, ...summary } = dataset;
    const line = jsonText(summary);
    if (line === printed) return;
    printed = line;
    if (options.json && options.watch) print(line);
    else if (options.json) printJson(summary);
    else printStatus(dataset);
  };
  const dataset = options.watch
    ? await client.waitUntilReady(id, { signal, onStatus: printChange })
    : await client.status(id, { signal });
  printChange(dataset);
  if (dataset.status === 'FAILED') process.exitCode = EXIT.notFit;
}

function printStatus(dataset: DatasetWithFiles): void {
  const paint = painterOf(process.stdout);
  const bytes = dataset.files.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
  const content = contentOf(dataset) || counted(dataset.files.length, 'file');
  const { pending = 0, checking: unchecked = 0, rejected = 0 } = dataset.counts ?? {};
  const open = pending === 0 ? '' : `, ${counted(pending, 'pending upload')}`;
  const unproved = unchecked === 0 ? '' : `, ${counted(unchecked, 'file')} being checked`;
  const failed = rejected === 0 ? '' : `, ${counted(rejected, 'rejected upload')}`;
  const role = roleOf(dataset) === 'training' ? '' : `${printable(roleOf(dataset))} dataset, `;
  print(
    `${paint('bold', printable(dataset.name))}  ${role}${content}, ${formatBytes(bytes)}${open}${unproved}${failed}`,
  );
  for (const line of [...linkLines(dataset, paint), ...statusLines(dataset, paint)]) print(line);
  const awaited = (dataset.awaited ?? []).map(
    ({ filename, until }) => `waiting for ${printable(filename)} until ${until.slice(11, 16)} UTC`,
  );
  for (const line of firstLines(awaited, 'file')) print(line);
  const checking = (dataset.checking ?? []).map(
    ({ filename, since }) => `checking ${printable(filename)} since ${since.slice(11, 16)} UTC`,
  );
  for (const line of firstLines(checking, 'file')) print(line);
  const warnings = (dataset.warnings ?? []).map(({ message }) => paint('yellow', `! ${printable(message)}`));
  for (const line of firstLines(warnings, 'warning')) print(line);
}

async function remove(name: string, options: RemoteOptions & { yes?: true }, signal: AbortSignal): Promise<void> {
  const client = clientFrom(options);
  const dataset = await mustFind(client, name, signal);
  if (!options.yes) {
    if (options.json || !canAsk()) {
      const message = `deleting "${printable(dataset.name)}" needs your confirmation on a terminal. To delete it without, add --yes.`;
      throw new CommandError(EXIT.usage, message);
    }
    const content = contentOf(dataset) || 'all its files';
    const question = `Delete "${printable(dataset.name)}" (${content})? This can't be undone.`;
    if (!(await confirms(question, signal))) return print('Nothing was deleted.');
  }
  await client.remove(dataset.id, { signal });
  if (options.json) printJson({ id: dataset.id, name: dataset.name, deleted: true });
  else print(`Deleted "${printable(dataset.name)}".`);
}
