import type { TestProject } from 'vitest/node';
import { whyNoPostgres } from './available.js';
import { type RunningPostgres, startPostgres } from './postgres.js';

let shared: Promise<RunningPostgres> | undefined;

/** One Postgres for the whole run; each test creates its own database on it. */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const reason = whyNoPostgres();
  if (reason !== undefined) {
    if (process.env.CI) throw new Error(`The tests on Postgres can't be left out here: ${reason}`);
    console.warn(`The tests on Postgres are left out: ${reason}`);
    return undefined;
  }
  const given = process.env.TEST_DATABASE_URL;
  if (given) {
    project.provide('postgresUrl', given);
    return undefined;
  }
  shared ??= startPostgres();
  project.provide('postgresUrl', (await shared).url);
  return async () => {
    const running = shared;
    shared = undefined;
    await (await running)?.discard();
  };
}
