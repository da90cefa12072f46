import { existsSync, lstatSync, renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Command, Option } from 'commander';
import type { ZipForm } from '../../api/request-schemas.js';
import { chunksOf } from '../../client/answers.js';
import { hasErrno } from '../../dataset/errors.js';
import { parseDatasetName } from '../../dataset/names.js';
import { MEDIA_CHOICES, type MediaChoice } from '../../dataset/train/training-dataset.js';
import { revisionArgument } from '../arguments.js';
import { type Call, onDataset } from '../remote.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import type { Output } from '../terminal/print.js';
import { formatBytes, printable } from '../terminal/text.js';
import { bar, percent } from '../terminal/progress.js';

const CSV = 'captions-csv';

const FORMS = {
  zip: 'files',
  kohya: 'kohya',
  metadata: 'metadata',
  'captions-zip': 'captions',
} as const satisfies Record<string, ZipForm>;

interface Options {
  readonly as: keyof typeof FORMS | typeof CSV;
  readonly to?: string;
  readonly only?: MediaChoice;
  readonly revision?: number;
}

/** Reads the export from a byte on, unless it is now another one than that with the ETag. */
type OpenExport = (from: number, etag?: string) => Promise<Response>;

const HELP = `
zip           images, clips and captions, as they are
kohya         in folders 10_NAME with the repeats of the groups, as sd-scripts reads them with --caption_extension .txt; files
              without a group are in 1_DATASET, and groups of regularisation images in the folder reg
metadata      images and clips, and metadata.jsonl with their captions, as Hugging Face reads it
captions-zip  the captions alone
captions-csv  the captions alone, as a table with the columns file_name and text

A lost connection is continued, except with metadata and captions-csv, whose sizes are not known in advance.

Examples:
  $ trainyard export railway                                railway.zip in this folder
  $ trainyard export railway --as kohya --to kohya.zip
  $ trainyard export railway --as captions-csv --to - | head
  $ trainyard export railway --only videos --revision 12 --to clips.zip`;

/** `trainyard export` */
export function addExportCommand(program: Command): void {
  const command = program
    .command('export')
    .description('Download a dataset as an archive, READY or not.')
    .argument('<name>', 'name or ID of a dataset')
    .addOption(new Option('--as <form>', 'the form').choices([...Object.keys(FORMS), CSV]).default('zip'))
    .option('--to <path>', 'a new file, a folder, or - for standard output (default: this folder)')
    .addOption(new Option('--only <kind>', 'only images or only videos, with their captions').choices(MEDIA_CHOICES))
    .addOption(new Option('--revision <number>', 'an earlier revision').argParser(revisionArgument));
  onDataset(command, HELP, exportDataset);
}

async function exportDataset(
  { id, name }: { id: string; name: string },
  { client, options, signal, display }: Call<Options>,
): Promise<Output | undefined> {
  const { as, to, only, revision } = options;
  const query = { only, revision };
  const openAt: OpenExport = (from, etag) =>
    as === CSV
      ? client.exports.csv(id, { ...query, signal })
      : client.exports.zip(id, { ...query, as: FORMS[as], from, etag, signal });
  if (to === '-') {
    await pipeline(chunksOf(await openAt(0)), process.stdout, { signal, end: false });
    return undefined;
  }
  const path = pathFor(to, `${parseDatasetName(name)}.${as === CSV ? 'csv' : 'zip'}`);
  try {
    const onBytes = (done: number, total: number | undefined) => display.update(() => [lineOf(done, total)]);
    const bytes = await download(path, openAt, { signal, onBytes });
    const document = { dataset_id: id, name, as, path, bytes };
    return { lines: [`${printable(path)}: ${formatBytes(bytes)}`], document };
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR')) throw error;
    const message = hasErrno(error, 'ENOENT')
      ? `there is no folder ${dirname(path)}. Create it, or name another one with --to.`
      : `${path} can't be written: ${(error as Error).message}`;
    throw new CommandError(EXIT.cannotCreate, message, { cause: error });
  }
}

/** @throws CommandError with 73 if the file exists */
function pathFor(to: string | undefined, filename: string): string {
  const isFolder = to !== undefined && (to.endsWith('/') || lstatSync(to, { throwIfNoEntry: false })?.isDirectory());
  const path = to === undefined ? filename : isFolder ? join(to, filename) : to;
  requireAbsent(path);
  return path;
}

/** @throws CommandError with 73 if the file exists */
function requireAbsent(path: string): void {
  if (!existsSync(path)) return;
  throw new CommandError(EXIT.cannotCreate, `${path} exists already. Remove it, or name another file with --to.`);
}

/** Writes beside the file until all is there. A lost connection is continued. @returns the size */
async function download(
  path: string,
  openAt: OpenExport,
  { signal, onBytes }: { signal: AbortSignal; onBytes: (done: number, total: number | undefined) => void },
): Promise<number> {
  const first = await openAt(0);
  const length = first.headers.get('content-length');
  // Only an archive of a known size has both, unless a proxy takes one away.
  const etag = length === null ? undefined : (first.headers.get('etag') ?? undefined);
  const total = etag === undefined ? undefined : Number(length);
  const partial = join(dirname(path), `.${basename(path)}.${process.pid}.part`);
  const output = await open(partial, 'w');
  let size = 0;
  const receive = async () => {
    const begun = size;
    const response = begun === 0 ? first : await openAt(begun, etag);
    if (begun > 0 && response.status !== 206) throw new CommandError(EXIT.temporaryFailure, CHANGED);
    try {
      for await (const chunk of chunksOf(response)) {
        if (size + chunk.length > (total ?? Number.POSITIVE_INFINITY)) throw new CommandError(EXIT.protocol, TOO_MUCH);
        // Unlike `write`, it writes all of it.
        await output.writeFile(chunk);
        size += chunk.length;
        onBytes(size, total);
      }
    } catch (error) {
      signal.throwIfAborted();
      // A broken connection is a TypeError of fetch.
      if (!(error instanceof TypeError) || total === undefined || size === begun) throw error;
    }
  };
  try {
    await receive();
    while (total !== undefined && size !== total) await receive();
    await output.sync();
    requireAbsent(path);
    renameSync(partial, path);
    return size;
  } finally {
    await output.close();
    rmSync(partial, { force: true });
  }
}

const CHANGED = 'the dataset was changed while it was downloaded. Try again.';
const TOO_MUCH = 'the service sent more bytes than it had announced.';

function lineOf(done: number, total: number | undefined): string {
  if (total === undefined) return formatBytes(done);
  return `${bar(done, total)} ${percent(done, total)}  ${formatBytes(done)} of ${formatBytes(total)}`;
}
