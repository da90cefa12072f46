import { sql } from 'kysely';
import type { Micros } from '../../../dataset/dataset.js';
import type { Database } from '../../database/database.js';
import { IS_LIVE, ROWS_PER_STATEMENT, withDataset } from '../statements.js';

/** So many of the latest revisions of a dataset are kept however old, unless the history is switched off. */
const KEPT_HOWEVER_OLD = 20;

export interface RetentionOptions {
  /** How long after its last change a revision is kept; 0 keeps the latest and the pinned ones alone. */
  readonly lifetime: Micros;
  /** If the history of an account has more bytes, its oldest revisions are deleted earlier. */
  readonly maxBytes: number;
  /** How long a blob stays readable after the last revision that names it is deleted. */
  readonly blobGrace: Micros;
}

interface RevisionKey {
  readonly dataset_id: string;
  readonly number: number;
}

/**
 * Deletes revisions that need not be kept, each with the past files that no other kept revision has; their blobs go to the
 * trash. Neither the latest revision of a dataset nor a pinned one is deleted.
 */
export class Retention {
  readonly #db: Database;
  readonly #options: RetentionOptions;

  constructor(db: Database, options: RetentionOptions) {
    this.#db = db;
    this.#options = options;
  }

  /** Deletes everything that is due, or a part of it if the signal fires. */
  async run(now: Micros, signal?: AbortSignal): Promise<void> {
    const { lifetime, maxBytes } = this.#options;
    const kept = lifetime === 0 ? 1 : KEPT_HOWEVER_OLD;
    const expired = this.#unpinned()
      .where('changed_at', '<=', now - lifetime)
      .where(sql<boolean>`number <= dataset.revision - ${sql.lit(kept)}`)
      .limit(ROWS_PER_STATEMENT);
    await this.#deleteEach(expired, now, signal);
    const oldest = this.#unpinned()
      .innerJoin('account', 'account.id', 'dataset.account_id')
      .where('history_bytes', '>', maxBytes)
      .whereRef('number', '<', 'dataset.revision')
      .orderBy('changed_at')
      .limit(1);
    await this.#deleteEach(oldest, now, signal);
  }

  #unpinned() {
    return this.#db.query
      .selectFrom('revision')
      .innerJoin('dataset', 'dataset.id', 'revision.dataset_id')
      .select(['revision.dataset_id', 'revision.number'])
      .where(IS_LIVE)
      .where('pinned_at', 'is', null);
  }

  /** Deletes the selected revisions until none is left. */
  async #deleteEach(
    selected: { execute(): Promise<RevisionKey[]> },
    now: Micros,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    for (;;) {
      const revisions = await selected.execute();
      if (revisions.length === 0) return;
      for (const revision of revisions) {
        if (signal?.aborted) return;
        await this.#delete(revision, now);
      }
    }
  }

  /** A change of files, or a pin, takes the same lock. */
  async #delete({ dataset_id: datasetId, number }: RevisionKey, now: Micros): Promise<void> {
    const { query } = this.#db;
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

  /**
   * The statements that delete past files which no kept revision has: they were added after the last one before, and removed
   * in or before the next one. Blobs that no other row names go to the trash.
   */
  #deletionOfPastFiles(
    { datasetId, before, after }: { datasetId: string; before: number; after: number },
    { accountId, now }: { accountId: string; now: Micros },
  ) {
    const { query } = this.#db;
    const isUnneeded = (table: string) => {
      const [removedIn, addedIn] = [sql.ref(`${table}.removed_in`), sql.ref(`${table}.added_in`)];
      return sql<boolean>`${removedIn} > ${before} and ${removedIn} <= ${after} and ${addedIn} > ${before}`;
    };
    const unneeded = query.selectFrom('past_file').where('dataset_id', '=', datasetId).where(isUnneeded('past_file'));
    // A file that was restored may be here several times.
    const blobs = unneeded
      .select(({ fn }) => ['id', fn.max('size_bytes').as('size_bytes')])
      .where(sql<boolean>`not exists (select 1 from file where file.id = past_file.id)`)
      .where(
        sql<boolean>`not exists (select 1 from past_file as other where other.id = past_file.id and not (${isUnneeded('other')}))`,
      )
      .groupBy('id')
      .as('blob');
    const freed = query
      .selectFrom(blobs)
      .select(({ fn, val }) => fn.coalesce(fn.sum<number>('size_bytes'), val(0)).as('bytes'));
    return [
      query
        .updateTable('account')
        .set((eb) => ({ history_bytes: eb('history_bytes', '-', freed) }))
        .where('id', '=', accountId),
      query
        .insertInto('trash')
        .columns(['blob_key', 'delete_after'])
        .expression(
          query
            .selectFrom(blobs)
            .select([
              sql<string>`cast(${datasetId} as text) || '/' || id`.as('blob_key'),
              sql<number>`cast(${now + this.#options.blobGrace} as bigint)`.as('delete_after'),
            ])
            // Else SQLite takes the conflict clause for a join (https://sqlite.org/lang_upsert.html#parsing_ambiguity).
            .where(sql<boolean>`true`),
        )
        .onConflict((conflict) => conflict.column('blob_key').doNothing()),
      query.deleteFrom('past_file').where('dataset_id', '=', datasetId).where(isUnneeded('past_file')),
    ];
  }
}
