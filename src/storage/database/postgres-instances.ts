import { sql } from 'kysely';
import type { Database } from './database.js';

/** By which the connections of serving processes and of commands beside them are known, see `connectionOf`. */
const SERVING = 'trainyard';

/** The URL for one who works on a database that nobody serves, and must not take itself for an instance. */
export function urlApart(url: string): string {
  const apart = new URL(url);
  apart.searchParams.set('application_name', 'trainyard-transfer');
  return apart.href;
}

/** Whether a process of ours has the database open; a pooler in between may hide it. */
export async function isServed({ query }: Database): Promise<boolean> {
  const { rows } = await sql<unknown>`
    select 1 from pg_stat_activity
    where datname = current_database() and application_name = ${SERVING} and pid <> pg_backend_pid() limit 1
  `.execute(query);
  return rows.length > 0;
}
