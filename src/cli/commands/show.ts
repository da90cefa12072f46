import { spawn } from 'node:child_process';
import type { Command } from 'commander';
import { type DatasetFile, type DatasetWithFiles, type TrainyardClient, TrainyardError } from '../../client/client.js';
import { bodyTextOf } from '../../client/answers.js';
import { stemOf } from '../../dataset/media.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { linkLines } from '../pairs/link-lines.js';
import { statusLines } from '../push/output.js';
import { addRemoteOptions, clientFrom, mustFind, type RemoteOptions, remoteFrom } from '../remote.js';
import { CommandError, EXIT, interruptible } from '../terminal/exit-codes.js';
import { painterOf, print, printJson } from '../terminal/print.js';
import { counted, formatBytes, printable, tableOf, truncated } from '../terminal/text.js';

/** Longer captions are not fetched. */
const MAX_CAPTION_BYTES = 4096;

/** Captions fetched at once. */
const CONCURRENCY = 8;

/** The maximum width of the caption column. */
const CAPTION_COLUMNS = 100;

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

/** `trainyard show|open` */
export function addShowCommands(program: Command): void {
  const show = program
    .command('show')
    .description("Show a dataset's files, with sizes, dimensions and captions.")
    .argument('<dataset>', 'its name or ID')
    .option('--no-captions', 'do not fetch the captions')
    .action((name, options) => interruptible((signal) => showFiles(name, options, signal)));
  addRemoteOptions(show).addHelpText('after', SHOW_HELP);
  const open = program
    .command('open')
    .description('Open the web page of the service, or of a dataset, in the browser, signed in, and print its address.')
    .argument('[dataset]', 'its name or ID')
    .action((name, options) => interruptible((signal) => openPage(name, options, signal)));
  addRemoteOptions(open).addHelpText('after', OPEN_HELP);
}

async function showFiles(name: string, options: RemoteOptions & { captions: boolean }, signal: AbortSignal) {
  const client = clientFrom(options);
  const { id } = await mustFind(client, name, signal);
  const dataset = await client.status(id, { signal });
  const captions = options.captions ? await captionsOf(client, dataset, signal) : new Map<string, string>();
  if (options.json) {
    const files = dataset.files.map((file) => {
      const caption = captions.get(file.filename);
      return caption === undefined ? file : { ...file, caption };
    });
    return printJson({ ...dataset, files });
  }
  const paint = painterOf(process.stdout);
  const rows = rowsOf(dataset, captions);
  if (rows.length > 0) {
    const columns = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
    const [heading = '', ...lines] = tableOf([['FILE', 'SIZE', 'DETAILS', 'CAPTION'], ...rows]);
    print(paint('bold', heading));
    for (const line of lines) print(truncated(line, columns));
  }
  const bytes = dataset.files.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
  const role = (dataset.role ?? 'training') === 'training' ? '' : `${printable(dataset.role)} dataset, `;
  print(`${role}${counted(dataset.files.length, 'file')}, ${formatBytes(bytes)}`);
  for (const line of [...linkLines(dataset, paint), ...statusLines(dataset, paint)]) print(line);
}

function isCaption({ filename }: DatasetFile): boolean {
  return /\.txt$/i.test(filename);
}

/** A row for each image and video with its caption, and for each caption without media. */
function rowsOf({ role, files }: DatasetWithFiles, captions: ReadonlyMap<string, string>): string[][] {
  // A control or mask needs no caption.
  const none = role === 'control' || role === 'mask' ? '' : 'none';
  const captionOf = new Map(files.filter(isCaption).map((file) => [stemOf(file.filename), file]));
  const stems = new Set(files.filter((file) => !isCaption(file)).map(({ filename }) => stemOf(filename)));
  return files
    .filter((file) => !isCaption(file) || !stems.has(stemOf(file.filename)))
    .map((file) => {
      const caption = isCaption(file) ? file : captionOf.get(stemOf(file.filename));
      const text = caption && captions.get(caption.filename);
      const words = caption === undefined ? none : text === undefined ? caption.filename : text.replace(/\s+/g, ' ');
      return [
        printable(file.filename),
        formatBytes(file.size_bytes),
        printable(factsOf(file)),
        truncated(printable(words), CAPTION_COLUMNS),
      ];
    });
}

/** `1024×768`; `640×360, 4.2 s, 24 fps` */
function factsOf({ width, height, duration_seconds, frames_per_second, kind, format }: DatasetFile): string {
  if (kind === 'caption') return 'caption without media';
  const parts = [
    width === undefined ? format : `${width}×${height}`,
    duration_seconds === undefined ? undefined : `${duration_seconds.toFixed(1)} s`,
    frames_per_second === undefined ? undefined : `${Math.round(frames_per_second * 100) / 100} fps`,
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}

/** Fetches short captions, by filename; none if the service has no downloads. */
async function captionsOf(
  client: TrainyardClient,
  { id, files }: { id: string; files: readonly DatasetFile[] },
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const captions = new Map<string, string>();
  const fetched = files.filter((file) => isCaption(file) && file.size_bytes <= MAX_CAPTION_BYTES);
  let hasDownloads = true;
  await forEachConcurrent(fetched, CONCURRENCY, async ({ filename }) => {
    if (!hasDownloads) return;
    try {
      const response = await client.file(id, filename, { signal });
      captions.set(filename, (await bodyTextOf(response, MAX_CAPTION_BYTES)).text);
    } catch (error) {
      if (!(error instanceof TrainyardError) || error.status !== 404) throw error;
      hasDownloads = false;
    }
  });
  return captions;
}

async function openPage(name: string | undefined, options: RemoteOptions, signal: AbortSignal): Promise<void> {
  const client = clientFrom(options);
  const id = name === undefined ? undefined : (await mustFind(client, name, signal)).id;
  const { url } = remoteFrom(options);
  const home = await fetch(`${url}/`, { redirect: 'manual', headers: { accept: 'text/html' }, signal });
  await home.body?.cancel();
  if (!home.ok || !home.headers.get('content-type')?.startsWith('text/html')) {
    const advice = name === undefined ? 'trainyard ls' : `trainyard show ${JSON.stringify(name)}`;
    throw new CommandError(EXIT.unavailable, `${url} has no web pages. To see them in the terminal, run: ${advice}`);
  }
  const signIn = await signInPart(client, signal);
  const page = `${url}/${id === undefined ? '' : `datasets/${encodeURIComponent(id)}`}${signIn.fragment}`;
  const isOpened = process.stdout.isTTY === true && (await isOpenedInBrowser(page));
  if (options.json) printJson({ ...(id !== undefined && { id }), url: page, expires_at: signIn.expiresAt });
  else print(printable(isOpened ? `Opened ${page}` : page));
}

/** The part of the address that signs in; empty for a service that has no such links. */
async function signInPart(
  client: TrainyardClient,
  signal: AbortSignal,
): Promise<{ fragment: string; expiresAt?: string }> {
  try {
    const { code, token_id, expires_at } = await client.sessions.code({ signal });
    return { fragment: `#code=${code}&token=${token_id}`, expiresAt: expires_at };
  } catch (error) {
    if (error instanceof TrainyardError && [404, 405].includes(error.status)) return { fragment: '' };
    throw error;
  }
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
