import { setPriority } from 'node:os';
import type { Command } from 'commander';
import { FINDING_KINDS, type StoreFinding, type StoreFindingKind } from '../../../service/store-check/findings.js';
import type { CheckedStore, StoreCheckProgress } from '../../../service/store-check/check-store.js';
import type { Repaired } from '../../../service/store-check/repair.js';
import { addSettings, configFrom } from '../../settings.js';
import { EXIT } from '../../terminal/exit-codes.js';
import { print, printJson } from '../../terminal/print.js';
import { transferLine } from '../../terminal/progress.js';
import { counted, formatBytes, printable } from '../../terminal/text.js';
import { withTransferProgress } from '../../transfer-report.js';

/** Findings that are listed; all are counted and repaired. */
const MAX_LISTED_FINDINGS = 1000;

/** Between two lines of progress with `--json`. */
const PROGRESS_INTERVAL_MS = 1000;

/** Lower than that of a server on the same machine. */
const LOW_PRIORITY = 10;

const HELP = `
Reads every file and compares it with its SHA-256, lists what is in the store and not in the catalog, and counts the files of each
dataset. The service may be running, on any combination of SQLite or Postgres and a folder or a bucket. If it is interrupted, the
same command continues. With --json, progress is a JSON line a second on standard error.

  missing, damaged  a file whose bytes are gone or changed. --repair makes its dataset FAILED until the file is uploaded again
  orphaned          an object that no file and no trash names. --repair removes it after --blob-grace-seconds
  unfinished        a temporary file, or parts of an upload, that no upload uses. --repair removes it
  miscounted        a dataset whose counts are not those of its files, or whose row is wrong about its links. --repair corrects them
  foreign           an object with a name that trainyard does not give. It is left alone

Examples:
  $ trainyard check-store
  $ trainyard check-store --data /srv/trainyard --repair
  $ DATABASE_URL=postgres://db/trainyard BLOBS_URL=s3://lora trainyard check-store --json

Exit codes: 0 nothing was found, or everything was repaired; 65 something is left; 66 there is no installation; 69 or 75 a backend
does not answer; 130 interrupted.`;

type Options = Record<string, string> & { json?: true; repair?: true; restart?: true };

/** `trainyard check-store` */
export function addCheckStoreCommand(program: Command): void {
  const command = program
    .command('check-store')
    .description('Compare every stored file with the catalog; the service may be running.')
    .option('--repair', 'repair what needs no guessing')
    .option('--restart', 'begin again instead of continuing an interrupted check')
    .option('--json', 'print JSON for scripts')
    .addHelpText('after', HELP)
    .action(check);
  addSettings(command, ['data', 'databaseUrl', 'blobsUrl', 'blobGraceSeconds']);
}

interface Listed {
  readonly finding: StoreFinding;
  readonly repaired: Repaired | undefined;
}

async function check({ json, repair, restart, ...settings }: Options): Promise<void> {
  const { dataFolder, databaseUrl, blobs, blobGrace } = configFrom(settings);
  const listed: Listed[] = [];
  const deeds: Partial<Record<Repaired['deed'], number>> = {};
  let shownAt = Number.NEGATIVE_INFINITY;
  setPriority(LOW_PRIORITY);
  const checked = await withTransferProgress({ isQuiet: json === true }, async ({ signal, display }) => {
    // Imported late, so that other commands start without loading the database code.
    const { checkStore } = await import('../../../service/store-check/check-store.js');
    return checkStore(
      { dataFolder, databaseUrl, blobs },
      {
        ...{ repairs: repair === true, restarts: restart === true, blobGrace, signal },
        onProgress: (progress) => {
          if (!json) return display.update(() => [progressLine(progress)]);
          if (performance.now() - shownAt < PROGRESS_INTERVAL_MS) return;
          shownAt = performance.now();
          process.stderr.write(`${JSON.stringify({ progress: progressDocument(progress) })}\n`);
        },
        onContinue: (startedAt) =>
          display.note(`Continuing the check of ${new Date(startedAt).toISOString()}. --restart begins again.`),
        onFinding: (finding, repaired) => {
          if (repaired !== undefined) deeds[repaired.deed] = (deeds[repaired.deed] ?? 0) + 1;
          if (listed.length < MAX_LISTED_FINDINGS) listed.push({ finding, repaired });
        },
      },
    );
  });
  if (checked.unsolved > 0) process.exitCode = EXIT.dataError;
  if (json) printJson(documentOf(checked, { listed, deeds }));
  else for (const line of linesOf(checked, listed)) print(line);
}

function progressLine({ phase, files, bytes, totalFiles, totalBytes, ...rest }: StoreCheckProgress): string {
  const found = rest.findings === 0 ? '' : `, ${counted(rest.findings, 'finding')}`;
  if (phase === 'objects') return `listing the store: ${counted(rest.objects, 'object')}${found}`;
  if (phase === 'counts') return `counting files: ${counted(rest.datasets, 'dataset')}${found}`;
  // A service may add files meanwhile.
  const total = { totalFiles: Math.max(files, totalFiles), totalBytes: Math.max(bytes, totalBytes) };
  return `${transferLine({ doneFiles: files, doneBytes: bytes, ...total })}${found}`;
}

function progressDocument(progress: StoreCheckProgress) {
  const { phase, files, bytes, totalFiles, totalBytes, objects, datasets, findings } = progress;
  const total = { total_files: totalFiles, total_bytes: totalBytes };
  return { phase, files, bytes, ...total, objects, datasets, findings };
}

/** One line for each finding, and one with the result. */
function linesOf(checked: CheckedStore, listed: readonly Listed[]): string[] {
  const { files, bytes, objects, datasets, found, unsolved, doubt } = checked;
  const lines = listed.map(({ finding, repaired }) => {
    const deed = repaired === undefined ? '' : ` → ${deedText(finding, repaired)}`;
    return `${repaired?.isSolved ? '✓' : '✗'} ${finding.kind}: ${printable(textOf(finding))}${deed}`;
  });
  const total = FINDING_KINDS.reduce((sum, kind) => sum + found[kind], 0);
  if (total > listed.length) lines.push(`  … and ${counted(total - listed.length, 'more finding')}`);
  if (doubt !== undefined) lines.push(`✗ nothing was repaired: ${doubt} Check --data, DATABASE_URL and BLOBS_URL.`);
  const read = `${counted(files, 'file')} (${formatBytes(bytes)}), ${counted(objects, 'object')} in the store, ${counted(datasets, 'dataset')}`;
  if (total === 0) return [`The store is clean: ${read}.`];
  const kinds = FINDING_KINDS.filter((kind) => found[kind] > 0).map((kind) => `${found[kind]} ${kind}`);
  const left = unsolved === 0 ? 'all repaired' : unsolved === total ? '' : `${unsolved} left`;
  return [...lines, `Checked ${read}: ${[...kinds, left].filter((part) => part !== '').join(', ')}.`];
}

function textOf(finding: StoreFinding): string {
  switch (finding.kind) {
    case 'missing':
    case 'damaged':
      return `${finding.isPast ? 'an earlier version of ' : ''}${finding.filename} of "${finding.datasetName}" (${finding.fileId})`;
    case 'miscounted': {
      const wrong = finding.wrong.map(({ name, recorded, counted: real }) => `${name} ${recorded} instead of ${real}`);
      return `"${finding.datasetName}": ${wrong.join(', ')}`;
    }
    default: {
      const { name, sizeBytes, changedAt } = finding.object;
      return `${name}, ${formatBytes(sizeBytes)}, changed ${new Date(changedAt).toISOString()}`;
    }
  }
}

function deedText(finding: StoreFinding, repaired: Repaired): string {
  if (repaired.deed === 'marked' && 'isPast' in finding && finding.isPast) {
    return 'marked in the history; a dataset to which it is restored is FAILED';
  }
  if (repaired.deed === 'marked') return 'its dataset is FAILED until it is uploaded again';
  if (repaired.deed === 'intact') return 'its bytes are intact now';
  if (repaired.deed === 'left') return `left: ${'reason' in repaired ? repaired.reason : ''}`;
  return repaired.deed;
}

function documentOf(
  checked: CheckedStore,
  { listed, deeds }: { listed: readonly Listed[]; deeds: Partial<Record<Repaired['deed'], number>> },
) {
  const { files, bytes, objects, datasets, found, unsolved, doubt } = checked;
  const isClean = Object.values<number>(found).every((count) => count === 0);
  return {
    clean: isClean,
    ...{ files, bytes, objects, datasets, found, unsolved },
    ...(Object.keys(deeds).length > 0 && { repaired: deeds }),
    ...(doubt !== undefined && { not_repaired: doubt }),
    findings: listed.map(({ finding, repaired }) => ({
      ...findingDocument(finding),
      ...(repaired && { repair: repaired.deed, ...('reason' in repaired && { reason: repaired.reason }) }),
    })),
  };
}

function findingDocument(finding: StoreFinding): { kind: StoreFindingKind } & Record<string, unknown> {
  const { kind } = finding;
  if ('object' in finding) {
    const { name, sizeBytes, changedAt } = finding.object;
    return { kind, name, size_bytes: sizeBytes, changed_at: new Date(changedAt).toISOString() };
  }
  const dataset = { dataset_id: finding.datasetId, dataset: finding.datasetName };
  if (finding.kind === 'miscounted') return { kind, ...dataset, wrong: finding.wrong };
  const { fileId, filename, sizeBytes, sha256, problem } = finding;
  const bytes = { size_bytes: sizeBytes, sha256, ...(finding.isPast && { in_history: true }) };
  return { kind, ...dataset, filename, file_id: fileId, ...bytes, message: problem.message };
}
