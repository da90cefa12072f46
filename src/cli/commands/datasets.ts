import { spawn } from 'node:child_process';
import { type Command, createArgument, Option } from 'commander';
import type { Dataset, DatasetFile, DatasetWithFiles, Role, Status } from '../../client/client.js';
import { shellWord } from '../../command-line.js';
import { isStructuredCaption, isTextCaption, mediaTypeOf, stemOf } from '../../dataset/media.js';
import { parseDatasetName } from '../../dataset/names.js';
import { jsonText } from '../../json-text.js';
import { numberIn, oneOfWords, parseRole, roleOption } from '../arguments.js';
import { firstLines, kindCounts } from '../folder/report.js';
import { linkLines, STATUS_COLOURS } from '../pairs/links.js';
import { statusLines } from '../push/push.js';
import { type Call, mustFind, NO_DATASETS, onDataset, onService, undefinedFor } from '../remote.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { type Output, painterOf, print, problemLine, tableLines, withOwnCommand } from '../terminal/print.js';
import { counted, formatBytes, minuteOf, printable, truncated } from '../terminal/text.js';
import { isConfirmed } from '../terminal/prompts.js';

/** Longer captions are not fetched. */
const MAX_CAPTION_BYTES = 4096;

const CAPTION_COLUMNS = 100;

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

const SHOW_HELP = `
Examples:
  $ trainyard show wagons
  $ trainyard show wagons --json | jq -r '.files[] | select(.caption) | "\\(.filename): \\(.caption)"'`;

const OPEN_HELP = `
Examples:
  $ trainyard open
  $ trainyard open wagons

The address signs the browser in to your account: once, and within a minute. Without a terminal it is only printed. The exit
code is 69 if the service has no web pages.`;

const RENAME_HELP = `
Examples:
  $ trainyard rename railway "Red railway"

Its ID, history, links and tokens stay. The next mount makes a folder of the new name.`;

const ROLE_HELP = `
Examples:
  $ trainyard role railway-depth            prints its role
  $ trainyard role railway-depth control    makes it a control dataset
  $ trainyard role railway-mask mask

A training dataset has images and clips to train on, with captions. A control dataset has the images that an edit model gets
beside those of a training dataset; a mask dataset says with white where the loss counts. Their images have the names of those
in the training dataset, and need no captions. To link them, see "trainyard pair --help".

The role of a dataset that is linked can't be changed.`;

const RM_HELP = `
Examples:
  $ trainyard rm wagons          asks first
  $ trainyard rm wagons --yes    does not ask, for scripts`;

const SHARE_HELP = `
Examples:
  $ trainyard share wagons                       prints a link, valid for a week
  $ trainyard share wagons --days 1 --for Ada
  $ trainyard share wagons --list
  $ trainyard share wagons --revoke 3f9a1c20     the link no longer works

Who has the link sees the current images, clips and captions of this dataset and can download them, without an account. It
shows no other dataset and no earlier revision, and changes nothing. The link is not shown again.`;

/** `trainyard ls|status|show|open|share|rename|role|rm` */
export function addDatasetCommands(program: Command): void {
  const ls = program
    .command('ls')
    .description('List your datasets, newest first.')
    .option(
      '--status <status>',
      `only datasets with this status: ${STATUSES.join(', ')}`,
      oneOfWords('statuses', STATUSES),
    )
    .addOption(roleOption('only datasets with this role: training, control or mask'));
  onService(ls, LS_HELP, list);
  const command = (name: string, description: string) =>
    program.command(name).description(description).argument('<dataset>', 'its name or ID');
  const status = command('status', "Show a dataset's status and all its problems.");
  status.option('--watch', 'wait until it is READY or FAILED, and print every change');
  onDataset(status, STATUS_HELP, showStatus);
  const show = command('show', "Show a dataset's files, with sizes, dimensions and captions.");
  onDataset(show.option('--no-captions', 'do not fetch the captions'), SHOW_HELP, showFiles);
  const open = program
    .command('open')
    .description('Open the web page of the service, or of a dataset, in the browser, signed in, and print its address.')
    .argument('[dataset]', 'its name or ID');
  onService(open, OPEN_HELP, openPage);
  const sharing = 'Create a link that shows a dataset to a person without an account, or list or revoke such links.';
  const sharer = command('share', sharing)
    .option('--days <number>', 'how long the link is valid, 1 to 365', numberIn({ min: 1, max: 365 }), 7)
    .option('--for <name>', 'for whom it is, for the list')
    .addOption(new Option('--list', 'list the links of the dataset that are not revoked').conflicts('revoke'))
    .option('--revoke <id>', 'revoke the link with this ID');
  onDataset(sharer, SHARE_HELP, share);
  const renamed = command('rename', 'Give a dataset another name.');
  onDataset(renamed.argument('<name>', 'the new name'), RENAME_HELP, rename);
  const role = command('role', 'Show or change what the files of a dataset are for: training, control or mask.');
  role.addArgument(createArgument('[role]', 'training, control or mask').argParser(parseRole));
  onDataset(role, ROLE_HELP, showOrChangeRole);
  const rm = command('rm', 'Delete a dataset and all its files.');
  onDataset(rm.option('--yes', 'do not ask for confirmation'), RM_HELP, remove);
}

async function list({ client, options, signal }: Call<{ status?: Status; role?: Role }>): Promise<Output> {
  const { status, role } = options;
  const datasets = (await client.list({ signal })).filter(
    (dataset) => (status ?? dataset.status) === dataset.status && (role ?? roleOf(dataset)) === roleOf(dataset),
  );
  const filters = [status, role && `a ${role} dataset`].filter((word) => word !== undefined);
  const columns = {
    name: ({ name }: Dataset) => name,
    ...(datasets.some((dataset) => roleOf(dataset) !== 'training') && { role: roleOf }),
    status: (dataset: Dataset) => [dataset.status, STATUS_COLOURS[dataset.status]] as const,
    files: contentOf,
    size: ({ size_bytes }: Dataset) => (size_bytes === undefined ? '' : formatBytes(size_bytes)),
    'changed (utc)': ({ updated_at }: Dataset) => minuteOf(updated_at),
    id: ({ id }: Dataset) => id,
  };
  const none = filters.length > 0 ? `No dataset is ${filters.join(' and ')}.` : NO_DATASETS;
  return { document: { datasets }, lines: tableLines(datasets, none, columns) };
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

async function showStatus({ id }: Dataset, { client, options, signal }: Call<{ watch?: true }>): Promise<undefined> {
  let printed = '';
  const printChange = (dataset: DatasetWithFiles) => {
    const { files: _, ...summary } = dataset;
    const line = jsonText(summary);
    if (line === printed) return;
    printed = line;
    if (options.json) print(options.watch ? line : jsonText(summary, 2));
    else for (const each of [summaryLine(dataset), ...detailLines(dataset)]) print(each);
  };
  const dataset = options.watch
    ? await client.waitUntilReady(id, { signal, onStatus: printChange })
    : await client.status(id, { signal });
  printChange(dataset);
  if (dataset.status === 'FAILED') process.exitCode = EXIT.notFit;
}

function summaryLine(dataset: DatasetWithFiles): string {
  const { pending = 0, checking = 0, rejected = 0 } = dataset.counts ?? {};
  const parts = [
    contentOf(dataset) || counted(dataset.files.length, 'file'),
    formatBytes(bytesOf(dataset)),
    ...(pending === 0 ? [] : [counted(pending, 'pending upload')]),
    ...(checking === 0 ? [] : [`${counted(checking, 'file')} being checked`]),
    ...(rejected === 0 ? [] : [counted(rejected, 'rejected upload')]),
  ];
  return `${painterOf(process.stdout)('bold', printable(dataset.name))}  ${roleText(dataset)}${parts.join(', ')}`;
}

function detailLines(dataset: DatasetWithFiles): string[] {
  const paint = painterOf(process.stdout);
  const hourOf = (time: string) => `${time.slice(11, 16)} UTC`;
  const { awaited = [], checking = [], warnings = [] } = dataset;
  const waiting = awaited.map(({ filename, until }) => `waiting for ${printable(filename)} until ${hourOf(until)}`);
  const checked = checking.map(({ filename, since }) => `checking ${printable(filename)} since ${hourOf(since)}`);
  const warned = warnings.map(({ message }) => problemLine(paint, '!', message));
  return [
    ...linkLines(dataset, paint),
    ...statusLines(dataset, paint),
    ...firstLines(waiting, 'file'),
    ...firstLines(checked, 'file'),
    ...firstLines(warned, 'warning'),
  ];
}

function bytesOf({ files }: DatasetWithFiles): number {
  return files.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
}

/** `control dataset, `; empty for a training dataset. */
function roleText(dataset: Dataset): string {
  return roleOf(dataset) === 'training' ? '' : `${printable(roleOf(dataset))} dataset, `;
}

async function showFiles({ id }: Dataset, call: Call<{ captions: boolean }>): Promise<Output> {
  const dataset = await call.client.status(id, { signal: call.signal });
  const captions = call.options.captions ? await captionsOf(dataset, call) : new Map<string, string>();
  const files = dataset.files.map((file) => {
    const caption = captions.get(file.filename);
    return caption === undefined ? file : { ...file, caption };
  });
  const paint = painterOf(process.stdout);
  const lines = [
    ...fileLines(dataset, captions),
    `${roleText(dataset)}${counted(dataset.files.length, 'file')}, ${formatBytes(bytesOf(dataset))}`,
    ...linkLines(dataset, paint),
    ...statusLines(dataset, paint),
  ];
  return { document: { ...dataset, files }, lines };
}

const isCaption = ({ filename }: DatasetFile) => isTextCaption(filename);
const isMedia = ({ filename }: DatasetFile) => mediaTypeOf(filename)?.kind !== 'caption';

function fileLines({ role, files }: DatasetWithFiles, captions: ReadonlyMap<string, string>): string[] {
  // A control or mask needs no caption.
  const none = role === 'control' || role === 'mask' ? '' : 'none';
  const captionOf = new Map(files.filter(isCaption).map((file) => [stemOf(file.filename), file]));
  const stems = new Set(files.filter(isMedia).map(({ filename }) => stemOf(filename)));
  const captionText = (file: DatasetFile) => {
    if (isStructuredCaption(file.filename)) return '';
    const { filename } = isCaption(file) ? file : (captionOf.get(stemOf(file.filename)) ?? { filename: undefined });
    return filename === undefined ? none : (captions.get(filename)?.replace(/\s+/g, ' ') ?? filename);
  };
  const shown = files.filter((file) => !isCaption(file) || !stems.has(stemOf(file.filename)));
  if (shown.length === 0) return [];
  const table = tableLines(shown, '', {
    file: ({ filename }) => filename,
    size: ({ size_bytes }) => formatBytes(size_bytes),
    details: factsOf,
    // Cut after the escapes, which make it longer.
    caption: (file) => truncated(printable(captionText(file)), CAPTION_COLUMNS),
  });
  const columns = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
  return table.map((line, row) => (row === 0 ? line : truncated(line, columns)));
}

/** `1024×768`; `640×360, 4.2 s, 24 fps` */
function factsOf({ width, height, duration_seconds, frames_per_second, kind, format }: DatasetFile): string {
  if (kind === 'caption') return format === 'json' ? 'structured caption' : 'caption without media';
  const parts = [
    width === undefined ? format : `${width}×${height}`,
    duration_seconds === undefined ? undefined : `${duration_seconds.toFixed(1)} s`,
    frames_per_second === undefined ? undefined : `${Math.round(frames_per_second * 100) / 100} fps`,
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}

/** The short captions by filename; none if the service lacks the bulk API. */
async function captionsOf({ id, files }: DatasetWithFiles, { client, signal }: Call): Promise<Map<string, string>> {
  const short = files.filter((file) => isCaption(file) && file.size_bytes <= MAX_CAPTION_BYTES);
  const names = short.map(({ filename }) => filename);
  const captions = (await client.bulk.captions(id, names, { signal }).catch(undefinedFor(404, 405))) ?? [];
  return new Map(captions.flatMap(({ filename, text }) => (text === null ? [] : [[filename, text]])));
}

async function openPage({ client, url, signal }: Call, name?: string): Promise<Output> {
  const id = name === undefined ? undefined : (await mustFind(client, name, signal)).id;
  const home = await fetch(`${url}/`, { redirect: 'manual', headers: { accept: 'text/html' }, signal });
  await home.body?.cancel();
  if (!home.ok || !home.headers.get('content-type')?.startsWith('text/html')) {
    const advice = name === undefined ? 'trainyard ls' : `trainyard show ${JSON.stringify(name)}`;
    throw new CommandError(EXIT.unavailable, `${url} has no web pages. To see them in the terminal, run: ${advice}`);
  }
  const signIn = await client.sessions.code({ signal }).catch(undefinedFor(404, 405));
  const fragment = signIn === undefined ? '' : `#code=${signIn.code}&token=${signIn.token_id}`;
  const page = `${url}/${id === undefined ? '' : `datasets/${encodeURIComponent(id)}`}${fragment}`;
  const isOpened = process.stdout.isTTY === true && (await isOpenedInBrowser(page));
  return {
    document: { ...(id !== undefined && { id }), url: page, expires_at: signIn?.expires_at },
    lines: [printable(isOpened ? `Opened ${page}` : page)],
  };
}

/** @returns whether the command that opens a browser was found */
function isOpenedInBrowser(page: string): Promise<boolean> {
  const command = { darwin: 'open', win32: 'explorer.exe' }[process.platform as string] ?? 'xdg-open';
  return new Promise((resolve) => {
    const child = spawn(command, [page], { stdio: 'ignore', detached: true });
    child.once('error', () => resolve(false));
    child.once('spawn', () => {
      child.unref();
      resolve(true);
    });
  });
}

type ShareOptions = { days: number; for?: string; list?: true; revoke?: string };

async function share({ id, name }: Dataset, { client, options, signal }: Call<ShareOptions>): Promise<Output> {
  const title = `"${printable(name)}"`;
  if (options.list) {
    const shares = await client.shares.list(id, { signal });
    const lines = tableLines(shares, `No link shows ${title}.`, {
      id: (each) => each.id,
      for: (each) => each.name ?? '',
      'created (utc)': ({ created_at }) => minuteOf(created_at),
      'last used': ({ last_used_at }) => (last_used_at === null ? 'never' : minuteOf(last_used_at)),
      ends: ({ expires_at }) => (expires_at === null ? '' : minuteOf(expires_at)),
    });
    return { document: { id, name, shares }, lines };
  }
  if (options.revoke !== undefined) {
    await client.shares.revoke(id, options.revoke, { signal });
    const line = `Revoked the link ${printable(options.revoke)} of ${title}.`;
    return { document: { id: options.revoke, revoked: true }, lines: [line] };
  }
  const made = await client.shares.make(id, { name: options.for, expiresInSeconds: options.days * 86_400, signal });
  if (!options.json) {
    const end = made.expires_at === null ? '' : `, until ${minuteOf(made.expires_at)} UTC`;
    const message = `Who has this link sees ${title} and can download it${end}. It is not shown again.`;
    const [word, shareId] = [name, made.id].map((text) => shellWord(printable(text)));
    print(withOwnCommand(`${message}\nTo revoke it, run: trainyard share ${word} --revoke ${shareId}`), process.stderr);
  }
  const document = { id: made.id, dataset_id: id, url: made.url, expires_at: made.expires_at };
  return { document, lines: [printable(made.url)] };
}

async function rename({ id, name: before }: Dataset, { client, signal }: Call, name: string): Promise<Output> {
  const dataset = await client.datasets.change(id, { name: parseDatasetName(name) }, { signal });
  const [from, to] = [before, dataset.name].map((each) => `"${printable(each)}"`);
  const line = from === to ? `${from} has this name already.` : `Renamed ${from} to ${to}.`;
  return { document: { ...dataset, previous_name: before }, lines: [line] };
}

async function showOrChangeRole(found: Dataset, { client, signal }: Call, role?: Role): Promise<Output> {
  const before = roleOf(found);
  const sentence = `"${printable(found.name)}" is a ${printable(role ?? before)} dataset`;
  if (role === undefined) return { document: found, lines: [`${sentence}.`] };
  const dataset = await client.datasets.change(found.id, { role }, { signal });
  const line = role === before ? `${sentence} already.` : `${sentence}.${adviceFor(role, dataset)}`;
  return { document: { ...dataset, previous_role: found.role }, lines: [line] };
}

function adviceFor(role: Role, { counts }: Dataset): string {
  const { captions = 0, uncaptioned = 0 } = counts ?? {};
  const [count, advice] =
    role === 'training'
      ? [uncaptioned, `${counted(uncaptioned, 'file needs', 'files need')} a caption now.`]
      : [captions, `Its ${counted(captions, 'caption is', 'captions are')} kept, and not used.`];
  return count === 0 ? '' : ` ${advice}`;
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
