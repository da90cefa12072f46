import { setPriority } from 'node:os';
import { type Command, Option } from 'commander';
import type { StrayObject } from '../../../service/verify/find-strays.js';
import type { Repair, StoreProgress, VerifiedStore } from '../../../service/verify/verify-store.js';
import { serviceAction } from '../../remote.js';
import { addSettings, configFrom } from '../../settings.js';
import { CommandError, EXIT } from '../../terminal/exit-codes.js';
import { printOutput } from '../../terminal/print.js';
import { bar, percent } from '../../terminal/progress.js';
import { counted, formatBytes, printable } from '../../terminal/text.js';
import { withTransferProgress } from './transfer.js';
import { addVerifyCommand, verifyDatasets } from '../verify.js';

/** Findings that are listed; all are counted and repaired. */
const MAX_LISTED_FINDINGS = 1000;

/** Between two lines of progress with `--json`. */
const PROGRESS_INTERVAL_MS = 1000;

/** Lower than that of a server on the same machine. */
const LOW_PRIORITY = 10;

const HELP = `

--store verifies all datasets of the installation on this machine, on any combination of SQLite or Postgres and a folder or a
bucket: it reads every file, also those of the history, compares it with its SHA-256, and lists what is in the store and not in the
catalog. The service may be running, and takes part; the same command continues after an interruption. With --json, progress is a
JSON line a second on standard error.

  missing, damaged  a file whose bytes are gone or changed: its dataset is FAILED until the file is uploaded again
  orphaned          an object that no file and no trash names. --repair removes it after --blob-grace-seconds
  unfinished        a temporary file of yesterday that no upload uses. --repair removes it as well
  foreign           an object with a name that trainyard does not give. It is left alone

  $ trainyard verify --store
  $ trainyard verify --store --data /srv/trainyard --repair
  $ DATABASE_URL=postgres://db/trainyard BLOBS_URL=s3://lora trainyard verify --store --json

Its exit codes: 0 nothing was found, or everything was repaired; 65 something is left; 66 there is no installation; 69 or 75 a
backend does not answer; 130 interrupted.`;

/** `trainyard verify`, also with `--store`, which opens an installation. */
export function addVerifyStoreCommand(program: Command): void {
  const command = addVerifyCommand(program)
    .addOption(
      new Option('--store', 'verify the whole store on this machine').conflicts(['url', 'token', 'start', 'wait']),
    )
    .option('--repair', 'with --store: remove orphaned and unfinished objects')
    .addHelpText('after', HELP);
  addSettings(command, ['data', 'databaseUrl', 'blobsUrl', 'blobGraceSeconds']);
  const byService = serviceAction(command, verifyDatasets);
  command.action((dataset, options) => {
    if (options.store !== true) return byService(dataset, options, command);
    if (dataset === undefined) return verify(options);
    throw new CommandError(EXIT.usage, '--store verifies all datasets. Name none with it.');
  });
}

type StoreOptions = Record<string, string> & { json?: true; repair?: true };

async function verify({ json, repair, ...settings }: StoreOptions): Promise<void> {
  const { dataFolder, databaseUrl, blobs, blobGrace } = configFrom(settings);
  let shownAt = Number.NEGATIVE_INFINITY;
  setPriority(LOW_PRIORITY);
  const verified = await withTransferProgress({ isQuiet: json === true }, async ({ signal, display }) => {
    // Imported late, so that other commands start without loading the database code.
    const { verifyStore } = await import('../../../service/verify/verify-store.js');
    const onProgress = (progress: StoreProgress) => {
      if (!json) return display.update(() => [progressLine(progress)]);
      if (performance.now() - shownAt < PROGRESS_INTERVAL_MS) return;
      shownAt = performance.now();
      const { objects, files, totalFiles: total_files } = progress;
      process.stderr.write(`${JSON.stringify({ progress: { objects, files, total_files } })}\n`);
    };
    const installation = { dataFolder, databaseUrl, blobs };
    return verifyStore(installation, { repairs: repair === true, blobGrace, signal, onProgress });
  });
  const report = reportOf(verified);
  if (report.unsolved > 0) process.exitCode = EXIT.dataError;
  printOutput({ document: report, lines: linesOf(verified, report) }, json === true);
}

function progressLine({ objects, files, totalFiles }: StoreProgress): string {
  if (files === 0) return `listing the store: ${counted(objects, 'object')}`;
  const verified = `${files.toLocaleString('en')} of ${counted(totalFiles, 'file')}`;
  return `${bar(files, totalFiles)} ${percent(files, totalFiles)}  verified ${verified}`;
}

function reportOf({ files, bytes, objects, lost, strays }: VerifiedStore) {
  const found = { missing: 0, damaged: 0, orphaned: 0, unfinished: 0, foreign: 0 };
  const repaired: Partial<Record<Repair['deed'], number>> = {};
  for (const { isMissing } of lost) found[isMissing ? 'missing' : 'damaged']++;
  for (const { kind, repair } of strays) {
    found[kind]++;
    if (repair !== undefined) repaired[repair.deed] = (repaired[repair.deed] ?? 0) + 1;
  }
  const unsolved = lost.length + strays.filter(({ repair }) => (repair?.deed ?? 'left') === 'left').length;
  const findings = [...lost.map(lostDocument), ...strays.map(strayDocument)];
  return {
    clean: findings.length === 0,
    ...{ files, bytes, objects, found, unsolved },
    ...(Object.keys(repaired).length > 0 && { repaired }),
    findings: findings.slice(0, MAX_LISTED_FINDINGS),
  };
}

function lostDocument({ file, datasetName, problem, isPast, isMissing }: VerifiedStore['lost'][number]) {
  const { id, datasetId, filename, upload } = file;
  return {
    kind: isMissing ? 'missing' : 'damaged',
    ...{ dataset_id: datasetId, dataset: datasetName, filename, file_id: id },
    ...{ size_bytes: upload.sizeBytes, sha256: upload.sha256, ...(isPast && { in_history: true }) },
    message: problem.message,
  };
}

function strayDocument({ kind, object, repair }: VerifiedStore['strays'][number]) {
  const { name, sizeBytes, changedAt } = object;
  return {
    ...{ kind, name, size_bytes: sizeBytes, changed_at: new Date(changedAt).toISOString() },
    ...(repair && { repair: repair.deed, ...('reason' in repair && { reason: repair.reason }) }),
  };
}

/** One line for each finding, and one with the result. */
function linesOf(
  { files, bytes, objects, lost, strays }: VerifiedStore,
  report: ReturnType<typeof reportOf>,
): string[] {
  const lines = [
    ...lost.map(
      ({ file, datasetName, isPast, isMissing }) =>
        `✗ ${isMissing ? 'missing' : 'damaged'}: ${isPast ? 'an earlier version of ' : ''}${printable(file.filename)} of "${printable(datasetName)}" (${file.id})`,
    ),
    ...strays.map(strayLine),
  ];
  const listed = lines.slice(0, MAX_LISTED_FINDINGS);
  if (lines.length > listed.length) listed.push(`  … and ${counted(lines.length - listed.length, 'more finding')}`);
  const read = `${counted(files, 'file')} (${formatBytes(bytes)}), ${counted(objects, 'object')} in the store`;
  if (lines.length === 0) return [`The store is clean: ${read}.`];
  const kinds = Object.entries(report.found).flatMap(([kind, count]) => (count === 0 ? [] : [`${count} ${kind}`]));
  const { unsolved } = report;
  const rest = unsolved === 0 ? ['all repaired'] : unsolved === lines.length ? [] : [`${unsolved} left`];
  return [...listed, `Verified ${read}: ${[...kinds, ...rest].join(', ')}.`];
}

function strayLine({ kind, object, repair }: StrayObject & { readonly repair?: Repair }): string {
  const { name, sizeBytes, changedAt } = object;
  const what = printable(`${name}, ${formatBytes(sizeBytes)}, changed ${new Date(changedAt).toISOString()}`);
  if (repair === undefined) return `✗ ${kind}: ${what}`;
  if (repair.deed === 'left') return `✗ ${kind}: ${what} → left: ${repair.reason}`;
  return `✓ ${kind}: ${what} → ${repair.deed}`;
}
