import type { Command } from 'commander';
import type { JobCounts } from '../../../storage/catalog/jobs.js';
import { addSettings, configFrom, requireCatalog } from '../../settings.js';
import { print, printJson } from '../../terminal/print.js';
import { counted, printable, tableOf } from '../../terminal/text.js';

const HELP = `
Background work is a table of jobs, which any process of the service claims. A job that fails is tried again after a pause that grows.

  WAITING  jobs that are due, or will be        FAILED  jobs whose last attempt failed, with one of the errors
  RUNNING  jobs that a process has claimed      OLDEST  how long the first job that is due has waited

Examples:
  $ trainyard jobs
  $ DATABASE_URL=postgres://db/trainyard trainyard jobs --json`;

/** `trainyard jobs`, on the machine with the data; the server may be running. */
export function addJobsCommand(program: Command): void {
  const command = program
    .command('jobs')
    .description('Show the background work: how much waits, runs or failed, and why; the service may be running.')
    .option('--json', 'print JSON for scripts')
    .addHelpText('after', HELP)
    .action(showJobs);
  addSettings(command, ['data', 'databaseUrl']);
}

async function showJobs({ json, ...settings }: Record<string, string> & { json?: true }): Promise<void> {
  // Imported late, so that other commands start without loading the database code.
  const { openCatalog } = await import('../../../storage/catalog/open-catalog.js');
  const config = configFrom(settings);
  requireCatalog(config);
  const catalog = await openCatalog(config);
  const at = catalog.now();
  const counts = await catalog.jobs.counts().finally(catalog.close);
  if (json) printJson({ jobs: counts.map((each) => documentOf(each, at)) });
  else print(counts.length === 0 ? 'There are no jobs.' : tableOf(rowsOf(counts, at)).join('\n'));
}

/** How long the first job that is due has waited, in seconds. */
function waitedSeconds({ oldestDueAt = Number.POSITIVE_INFINITY }: JobCounts, now: number): number {
  return Math.round(Math.max(now - oldestDueAt, 0) / 1_000_000);
}

function documentOf(counts: JobCounts, now: number) {
  const { kind, waiting, running, failed, error } = counts;
  return { kind, waiting, running, failed, oldest_seconds: waitedSeconds(counts, now), ...(error && { error }) };
}

function rowsOf(counts: readonly JobCounts[], now: number): string[][] {
  const rows = counts.map((each) => {
    const { kind, waiting, running, failed, error = '' } = each;
    const seconds = waitedSeconds(each, now);
    const oldest = seconds === 0 ? '' : counted(seconds, 'second');
    return [kind, ...[waiting, running, failed].map((count) => count.toLocaleString('en')), oldest, printable(error)];
  });
  return [['KIND', 'WAITING', 'RUNNING', 'FAILED', 'OLDEST', 'ERROR'], ...rows];
}
