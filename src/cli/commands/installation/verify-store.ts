import { setPriority } from 'node:os';
import { type Command, Option } from 'commander';
import type { Repair, StoreProgress, VerifiedStore } from '../../../service/verify/verify-store.js';
import { serviceAction } from '../../remote.js';
import { addSettings, configFrom } from '../../settings.js';
import { CommandError, EXIT } from '../../terminal/exit-codes.js';
import { printOutput } from '../../terminal/print.js';
import { counted, formatBytes, printable } from '../../terminal/text.js';
import { bar, percent } from '../../terminal/progress.js';
import { withTransferProgress } from './transfer.js';
import { addVerifyCommand, verifyDatasets } from '../verify.js';

/** Findings that are listed; all are counted and repaired. */
const MAX_LISTED_FINDINGS = 1000;

const PROGRESS_INTERVAL_MS = 1000;

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
  const findings = [...verified.lost.map(lostFinding), ...verified.strays.map(strayFinding)];
  const report = reportOf(verified, findings);
  if (report.unsolved > 0) process.exitCode = EXIT.dataError;
  printOutput({ document: report, lines: linesOf(findings, report) }, json === true);
}

function progressLine({ objects, files, totalFiles }: StoreProgress): string {
  if (files === 0) return `listing the store: ${counted(objects, 'object')}`;
  const verified = `${files.toLocaleString('en')} of ${counted(totalFiles, 'file')}`;
  return `${bar(files, totalFiles)} ${percent(files, totalFiles)}  verified ${verified}`;
}

interface Finding {
  readonly document: { kind: string };
  readonly line: string;
  readonly deed?: Repair['deed'];
}

function lostFinding({ file, datasetName, problem, isPast, isMissing }: VerifiedStore['lost'][number]): Finding {
  const { id, datasetId, filename, upload } = file;
  const kind = isMissing ? 'missing' : 'damaged';
  const what = `${isPast ? 'an earlier version of ' : ''}${printable(filename)} of "${printable(datasetName)}" (${id})`;
  const document = {
    ...{ kind, dataset_id: datasetId, dataset: datasetName, filename, file_id: id },
    ...{ size_bytes: upload.sizeBytes, sha256: upload.sha256, ...(isPast && { in_history: true }) },
    message: problem.message,
  };
  return { document, line: `✗ ${kind}: ${what}` };
}

function strayFinding({ kind, object, repair }: VerifiedStore['strays'][number]): Finding {
  const { name, sizeBytes } = object;
  const changedAt = new Date(object.changedAt).toISOString();
  const reason = repair !== undefined && 'reason' in repair ? repair.reason : undefined;
  const document = {
    ...{ kind, name, size_bytes: sizeBytes, changed_at: changedAt },
    ...(repair && { repair: repair.deed, ...(reason !== undefined && { reason }) }),
  };
  const what = `${kind}: ${printable(`${name}, ${formatBytes(sizeBytes)}, changed ${changedAt}`)}`;
  if (repair === undefined) return { document, line: `✗ ${what}` };
  const isLeft = repair.deed === 'left';
  const line = `${isLeft ? '✗' : '✓'} ${what} → ${repair.deed}${reason === undefined ? '' : `: ${reason}`}`;
  return { document, line, deed: repair.deed };
}

function reportOf({ files, bytes, objects }: VerifiedStore, findings: readonly Finding[]) {
  const found: Record<string, number> = { missing: 0, damaged: 0, orphaned: 0, unfinished: 0, foreign: 0 };
  const repaired: Partial<Record<Repair['deed'], number>> = {};
  for (const { document, deed } of findings) {
    found[document.kind] = (found[document.kind] ?? 0) + 1;
    if (deed !== undefined) repaired[deed] = (repaired[deed] ?? 0) + 1;
  }
  return {
    clean: findings.length === 0,
    ...{ files, bytes, objects, found },
    unsolved: findings.filter(({ deed = 'left' }) => deed === 'left').length,
    ...(Object.keys(repaired).length > 0 && { repaired }),
    findings: findings.slice(0, MAX_LISTED_FINDINGS).map(({ document }) => document),
  };
}

function linesOf(findings: readonly Finding[], report: ReturnType<typeof reportOf>): string[] {
  const { files, bytes, objects, found, unsolved } = report;
  const listed = findings.slice(0, MAX_LISTED_FINDINGS).map(({ line }) => line);
  const more = findings.length - listed.length;
  if (more > 0) listed.push(`  … and ${counted(more, 'more finding')}`);
  const read = `${counted(files, 'file')} (${formatBytes(bytes)}), ${counted(objects, 'object')} in the store`;
  if (findings.length === 0) return [`The store is clean: ${read}.`];
  const kinds = Object.entries(found).flatMap(([kind, count]) => (count === 0 ? [] : [`${count} ${kind}`]));
  const rest = unsolved === 0 ? ['all repaired'] : unsolved === findings.length ? [] : [`${unsolved} left`];
  return [...listed, `Verified ${read}: ${[...kinds, ...rest].join(', ')}.`];
}
