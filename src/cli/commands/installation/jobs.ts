import type { Command } from 'commander';
import type { Config } from '../../../config.js';
import { onInstallation, withCatalog } from '../../settings.js';
import { type Output, tableLines } from '../../terminal/print.js';
import { counted } from '../../terminal/text.js';

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
    .description('Show the background work: how much waits, runs or failed, and why; the service may be running.');
  onInstallation(command, { settings: ['data', 'databaseUrl'], help: HELP }, showJobs);
}

async function showJobs(config: Config): Promise<Output> {
  const jobs = await withCatalog(config, async ({ jobs: table, now }) => {
    const at = now();
    return (await table.counts()).map(({ oldestDueAt = at, error, ...counts }) => ({
      ...counts,
      oldest_seconds: Math.round(Math.max(at - oldestDueAt, 0) / 1_000_000),
      ...(error && { error }),
    }));
  });
  const lines = tableLines(jobs, 'There are no jobs.', {
    kind: ({ kind }) => kind,
    waiting: ({ waiting }) => waiting.toLocaleString('en'),
    running: ({ running }) => running.toLocaleString('en'),
    failed: ({ failed }) => failed.toLocaleString('en'),
    oldest: ({ oldest_seconds: seconds }) => (seconds === 0 ? '' : counted(seconds, 'second')),
    error: ({ error = '' }) => error,
  });
  return { document: { jobs }, lines };
}
