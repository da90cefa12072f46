import { sql } from 'kysely';
import type { Micros } from '../../../dataset/dataset.js';
import { type Database, query } from '../../database/database.js';
import { ROWS_PER_STATEMENT, withDataset } from '../rows.js';
import { trashSelected } from '../file-changes.js';

/** The latest revisions of a dataset are kept, however old, unless the history is off. */
const KEPT_HOWEVER_OLD = 20;

export interface RetentionOptions {
  /** How long a revision is kept after its last change; 0 keeps only the latest and pinned ones. */
  readonly lifetime: Micros;
  /** Beyond it, the oldest revisions of an account are deleted earlier. */
  readonly maxBytes: number;
  /** How long a blob stays readable after its last revision. */
  readonly blobGrace: Micros;
}

/** Deletes revisions, except the latest and pinned ones, and the past files that only they have. */
export class Retention {
  readonly #db: Database;
  readonly #options: RetentionOptions;

  constructor(db: Database, options: RetentionOptions) {
    this.#db = db;
    this.#options = options;
  }

  /** Stops early if the signal fires. */
  async run(now: Micros, signal?: AbortSignal): Promise<void> {
    const { lifetime, maxBytes } = this.#options;
    const kept = lifetime === 0 ? 1 : KEPT_HOWEVER_OLD;
    for (const { id } of await this.#datasetsWithExpired(now - lifetime, kept)) {
      const expired = this.#unpinned()
        .where('dataset_id', '=', id)
        .where('changed_at', '<=', now - lifetime)
        .where(sql<boolean>`number <= dataset.revision - ${sql.lit(kept)}`);
      for (const revision of await this.#db.run(expired)) {
        if (signal?.aborted) return;
        await this.#delete(revision, now);
      }
    }
    const accounts = query.selectFrom('account').select('id').where('history_bytes', '>', maxBytes);
    for (const { id } of await this.#db.run(accounts)) {
      const ofAccount = this.#unpinned().where('account_id', '=', id).whereRef('number', '<', 'dataset.revision');
      for (const revision of await this.#db.run(ofAccount.orderBy('changed_at').limit(ROWS_PER_STATEMENT))) {
        const [account] = await this.#db.run(accounts.where('id', '=', id));
        if (account === undefined || signal?.aborted) break;
        await this.#delete(revision, now);
      }
    }
  }

  /** Only the oldest unpinned revision of each dataset is read, since it expires first. */
  async #datasetsWithExpired(changedBy: Micros, kept: number): Promise<{ id: string }[]> {
    const oldest = sql`(
      select min(number) from revision as other where other.dataset_id = dataset.id and other.pinned_at is null
    )`;
    const select = sql<{ id: string }>`
      select dataset.id from dataset
      join revision on revision.dataset_id = dataset.id and revision.number = ${oldest}
      where dataset.revision > ${kept} and revision.number <= dataset.revision - ${sql.lit(kept)}
        and revision.changed_at <= ${changedBy}`;
    const [datasets] = await this.#db.read([select]);
    return datasets;
  }

  #unpinned() {
    return query
      .selectFrom('revision')
      .innerJoin('dataset', 'dataset.id', 'revision.dataset_id')
      .select(['revision.dataset_id', 'revision.number'])
      .where('pinned_at', 'is', null);
  }

  /** A change of files, and a pin, takes the same lock. */
  async #delete({ dataset_id: datasetId, number }: { dataset_id: string; number: number }, now: Micros): Promise<void> {
    await withDataset(this.#db, { id: datasetId }, async (dataset, { send, commit }) => {
      const kept = query.selectFrom('revision').where('dataset_id', '=', datasetId);
      const [[revision], [before], [after]] = await send([
        kept.select('number').where('number', '=', number).where('pinned_at', 'is', null),
        kept.select(({ fn }) => fn.max<number | null>('number').as('number')).where('number', '<', number),
        kept.select(({ fn }) => fn.min<number | null>('number').as('number')).where('number', '>', number),
      ]);
      if (revision === undefined || after?.number == null) return;
      const range = { datasetId, before: before?.number ?? -1, after: after.number };
      await commit([
        ...this.#deletionOfPastFiles(range, { accountId: dataset.account_id, now }),
        query.deleteFrom('revision').where('dataset_id', '=', datasetId).where('number', '=', number),
      ]);
    });
  }

  /** Deletes past files added after the kept revision before and removed by the kept one after, which no kept revision has. */
  #deletionOfPastFiles(
    { datasetId, before, after }: { datasetId: string; before: number; after: number },
    { accountId, now }: { accountId: string; now: Micros },
  ) {
    const isUnneeded = (table: string) => {
      const [removedIn, addedIn] = [sql.ref(`${table}.removed_in`), sql.ref(`${table}.added_in`)];
      return sql`${removedIn} > ${before} and ${removedIn} <= ${after} and ${addedIn} > ${before}`;
    };
    // A restored file may be here several times.
    const blobs = sql<{ dataset_id: string; id: string }>`(
      select dataset_id, id, max(size_bytes) as size_bytes from past_file
      where dataset_id = ${datasetId} and ${isUnneeded('past_file')}
        and not exists (select 1 from file where file.id = past_file.id)
        and not exists (select 1 from past_file as other where other.id = past_file.id and not (${isUnneeded('other')}))
      group by dataset_id, id
    )`;
    const freed = sql`(select coalesce(sum(size_bytes), 0) from ${blobs} as blob)`;
    const deletion = sql`delete from past_file where dataset_id = ${datasetId} and ${isUnneeded('past_file')}`;
    return [
      sql`update account set history_bytes = history_bytes - ${freed} where id = ${accountId}`,
      trashSelected(blobs, now + this.#options.blobGrace),
      deletion,
    ];
  }
}
