/* The program of a thread that applies one long change to a SQLite file, with a connection of its own. */
import { parentPort, workerData } from 'node:worker_threads';
import { ServiceError } from '../../../dataset/errors.js';
import { databaseError } from '../../database/database.js';
import { openSqlite } from '../../database/sqlite.js';
import { lockingLate } from './lock-late.js';
import { LONG_CHANGES, type LongChangeAnswer, type LongChangeJob } from './long-change.js';

/** With the default of 2 MB, SQLite would write and read the pages of such a change several times. */
const CACHE_MEGABYTES = 64;

async function answerTo({ path, name, datasetId, options }: LongChangeJob): Promise<LongChangeAnswer> {
  try {
    const db = await openSqlite(path, { cacheMegabytes: CACHE_MEGABYTES });
    const change = LONG_CHANGES[name] as (database: typeof db, options: object) => Promise<unknown>;
    // A SQLite file has no other instances.
    const result = await change(lockingLate(db, datasetId), { ...options, notification: () => [] }).finally(() =>
      db.close(),
    );
    return { result };
  } catch (error) {
    const serviceError = error instanceof ServiceError ? error : databaseError(error);
    if (serviceError === undefined) return { error };
    const { code, message, detail } = serviceError;
    return { serviceError: { code, message, detail } };
  }
}

parentPort?.postMessage(await answerTo(workerData as LongChangeJob));
