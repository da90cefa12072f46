import { Worker } from 'node:worker_threads';
import { ServiceError } from '../../../dataset/errors.js';
import { programFile } from '../../../program-file.js';
import type { Database, Query } from '../../database/database.js';
import { AccountSlots } from '../../account-slots.js';
import { timeSliced } from '../../time-slice.js';
import type { ChangeOptions } from '../file-changes.js';
import {
  LONG_CHANGES,
  type LongChangeAnswer,
  type LongChangeJob,
  type LongChangeName,
  type LongChangeOptions,
  type LongChangeResult,
} from './long-change.js';

/** A dataset with fewer rows is changed faster than a thread starts. */
const MANY_ROWS = 5000;

/** The longest that another request waits in each turn of the event loop. */
const MAX_SLICE_MS = 5;

/** Removes a change that still waits for others. Once it has begun, it goes on. */
export interface LongChangeSignal {
  readonly signal?: AbortSignal | undefined;
}

/** The account whose turn a change waits for. */
export interface LongChangeTurn extends LongChangeSignal {
  readonly accountId: string;
}

/**
 * Applies changes of all files of a dataset, each in one transaction. Those of Postgres leave turns to requests. SQLite runs on
 * the thread that sends statements, so that the change of a dataset with many files is applied in a thread of its own: requests
 * are answered meanwhile, and see the dataset as it was until the change is committed. There is one such thread at a time, of one
 * account after the other.
 */
export class LongChanges {
  readonly #db: Database;
  readonly #changeOptions: ChangeOptions;
  readonly #threads = new AccountSlots(1);

  constructor(db: Database, changeOptions: ChangeOptions) {
    this.#db = db;
    this.#changeOptions = changeOptions;
  }

  /**
   * @throws as the change does; Error if the thread ends early, and the signal's reason if it fires before the change begins: the
   * change is not applied then
   */
  async apply<Name extends LongChangeName>(
    name: Name,
    datasetId: string,
    subject: Omit<LongChangeOptions<Name>, keyof ChangeOptions>,
    { accountId, signal }: LongChangeTurn,
  ): Promise<LongChangeResult<Name>> {
    const { query, besideWriter } = this.#db;
    const options = { ...subject, ...this.#changeOptions };
    if (besideWriter === undefined || !(await hasManyRows(query, datasetId))) {
      const change = LONG_CHANGES[name] as (db: Database, options: object) => Promise<LongChangeResult<Name>>;
      return change(this.#db, besideWriter === undefined ? { ...options, pieces: timeSliced(MAX_SLICE_MS) } : options);
    }
    const { notification: _, ...passed } = options;
    const apply = () => besideWriter((path) => inThread({ path, name, datasetId, options: passed }));
    return this.#threads.run(accountId, apply, signal) as Promise<LongChangeResult<Name>>;
  }
}

/** Whether a dataset and its history have so many files that a change of all of them takes long. */
async function hasManyRows(query: Query, datasetId: string): Promise<boolean> {
  let rows = 0;
  for (const table of ['file', 'past_file'] as const) {
    const some = query.selectFrom(table).select('id').where('dataset_id', '=', datasetId).limit(MANY_ROWS).as('some');
    const counted = query.selectFrom(some).select(({ fn }) => fn.countAll<number>().as('count'));
    rows += Number((await counted.executeTakeFirst())?.count ?? 0);
  }
  return rows >= MANY_ROWS;
}

async function inThread(job: LongChangeJob): Promise<unknown> {
  const thread = new Worker(programFile('storage/catalog/long-changes/long-change-thread'), { workerData: job });
  const answer = await new Promise<LongChangeAnswer>((resolve, reject) => {
    thread.once('message', resolve).once('error', reject);
    thread.once('exit', (code) => reject(new Error(`The thread of a change ended early, with ${code}.`)));
  });
  if ('result' in answer) return answer.result;
  if ('error' in answer) throw answer.error;
  const { code, message, detail } = answer.serviceError;
  throw new ServiceError(code, message, { detail });
}
