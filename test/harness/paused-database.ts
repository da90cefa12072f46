import { sql } from 'kysely';
import type { Database } from '../../src/storage/database/database.js';

/** What two processes do in a certain order: one waits until the other opens the gate. */
export class Gate {
  readonly opened: Promise<void>;
  open: () => void = () => {};

  constructor() {
    this.opened = new Promise((resolve) => {
      this.open = resolve;
    });
  }
}

/** Resolves once a connection to this Postgres database waits for a lock, or the work ends. */
export async function untilLockWait({ run }: Database, work: Promise<unknown>): Promise<void> {
  let hasEnded = false;
  const end = () => {
    hasEnded = true;
  };
  work.then(end, end);
  const waiting = sql`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  while (!hasEnded && (await run(waiting)).length === 0);
}
