import { sql } from 'kysely';
import type { Micros } from '../../../dataset/dataset.js';
import { expiryOf, type HistoryRules } from '../../../dataset/history/revisions.js';
import type { Database, Query, Transaction } from '../../database/database.js';
import type { Schema } from '../../database/schema.js';
import { IS_LIVE, lockDataset, ROWS_PER_STATEMENT, withDataset } from '../statements.js';
import { revisionOf } from './revision-rows.js';

/** Datasets read, or made due, at a time. */
const DATASETS_PER_PAGE = 100;

/** To find them, all revisions of an account are sorted. */
const OLDEST_AT_ONCE = 100;

/** The rules by which retention last marked datasets; others make it look at all of them again. */
const RULES_SETTING = 'history-rules';

export interface RetentionOptions {
  readonly rules: HistoryRules;
  /** If the history of an account has more bytes, its oldest revisions are deleted earlier. */
  readonly maxBytes: number;
  /** How long a blob stays readable after the last revision that names it is deleted. */
  readonly blobGrace: Micros;
}

/**
 * Deletes revisions that need not be kept, and past files that no kept revision has; their blobs go to the trash. It works
 * in short transactions, each under the lock of one dataset, so that any number of processes may do so at once, and any of
 * them may end at any moment. It reads only datasets that are due.
 */
export class Retention {
  readonly #db: Database;
  readonly #options: RetentionOptions;
  #hasAppliedRules = false;

  constructor(db: Database, options: RetentionOptions) {
    this.#db = db;
    this.#options = options;
  }

  /**
   * Deletes everything that is due, or a part of it if the signal fires. If the rules are not those of the last process, every
   * dataset becomes due first.
   */
  async run(now: Micros, signal?: AbortSignal): Promise<void> {
    if (!this.#hasAppliedRules) await this.#applyRules(signal);
    const due = this.#db.query
      .selectFrom('dataset')
      .select('id')
      .where('history_due', '<=', now)
      .where(IS_LIVE)
      .limit(DATASETS_PER_PAGE);
    while (!signal?.aborted) {
      const page = await due.execute();
      if (page.length === 0) break;
      // None of them is due afterwards.
      for (const { id } of page) {
        await this.#expire(id, now, signal);
      }
    }
    await this.#limitBytes(now, signal);
  }

  /** Makes every dataset due if the rules have changed, some datasets at a time. One that is interrupted is repeated. */
  async #applyRules(signal?: AbortSignal): Promise<void> {
    const { query, transact } = this.#db;
    const { lifetime, count } = this.#options.rules;
    const value = `${lifetime} ${count}`;
    const select = query.selectFrom('setting').select('value').where('name', '=', RULES_SETTING);
    if ((await select.executeTakeFirst())?.value !== value) {
      const datasets = query.selectFrom('dataset').select('id').orderBy('id').limit(DATASETS_PER_PAGE);
      for (let after: string | undefined = ''; after !== undefined; ) {
        if (signal?.aborted) return;
        const rows: { id: string }[] = await datasets.where('id', '>', after).execute();
        after = rows.at(-1)?.id;
        if (after === undefined) break;
        const ids = rows.map(({ id }) => id);
        const mark = query.updateTable('dataset').set({ history_due: 0 }).where('id', 'in', ids);
        await transact({ isDurable: false }, ({ commit }) => commit([mark.where('revision', '>', 0)]));
      }
      const save = query
        .insertInto('setting')
        .values({ name: RULES_SETTING, value })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }));
      await transact({ isDurable: true }, ({ commit }) => commit([save]));
    }
    this.#hasAppliedRules = true;
  }

  /**
   * Deletes the oldest revisions of accounts whose history has too many bytes. Those that are pinned stay. A deletion frees bytes
   * only later, maybe in another process: until then its dataset is due, and no other revision of the account is deleted.
   */
  async #limitBytes(now: Micros, signal?: AbortSignal): Promise<void> {
    for (const { id: accountId } of await this.#tooLarge().execute()) {
      let oldest: readonly RevisionKey[] = [];
      while (!signal?.aborted) {
        const [[large], [due], found] = await this.#db.read([
          this.#tooLarge(accountId),
          this.#dueOf(accountId, now),
          this.#oldestOf(accountId, oldest.length === 0 ? OLDEST_AT_ONCE : 0),
        ]);
        const [first, ...others] = [...oldest, ...found];
        if (large === undefined) break;
        if (due !== undefined) await this.#expire(due.id, now, signal);
        else if (first === undefined) break;
        else oldest = (await this.#deleteOldest(first, { accountId, now })) ? others : [];
      }
    }
  }

  #tooLarge(accountId?: string) {
    const { maxBytes } = this.#options;
    const select = this.#db.query.selectFrom('account').select('id').where('history_bytes', '>', maxBytes);
    return accountId === undefined ? select : select.where('id', '=', accountId);
  }

  /** A dataset of the account that is due. */
  #dueOf(accountId: string, now: Micros) {
    const select = this.#db.query.selectFrom('dataset').select('id').where('account_id', '=', accountId);
    return select.where('history_due', '<=', now).limit(1);
  }

  #oldestOf(accountId: string, limit: number) {
    return this.#db.query
      .selectFrom('revision')
      .innerJoin('dataset', 'dataset.id', 'revision.dataset_id')
      .select(['dataset_id', 'number'])
      .where('account_id', '=', accountId)
      .where('pinned_at', 'is', null)
      .whereRef('number', '<', 'dataset.revision')
      .orderBy('changed_at')
      .limit(limit);
  }

  /** Deletes a revision and those before it. @returns false if this need not be done any more, or others are being freed */
  #deleteOldest(oldest: RevisionKey, { accountId, now }: { accountId: string; now: Micros }): Promise<boolean> {
    const { query, hasRowLocks, transact } = this.#db;
    const { dataset_id: datasetId, number } = oldest;
    const large = this.#tooLarge(accountId);
    return transact({ isDurable: true }, async ({ send, commit }) => {
      // A change of files takes these locks in the same order.
      const [[dataset], [account], [due]] = await send([
        lockDataset(this.#db, datasetId),
        hasRowLocks ? large.forNoKeyUpdate() : large,
        this.#dueOf(accountId, now),
      ]);
      if (dataset === undefined || account === undefined || due !== undefined) return false;
      const deletion = query.deleteFrom('revision').where('dataset_id', '=', datasetId).where('number', '<=', number);
      await commit([deletion.where('pinned_at', 'is', null), this.#makeDue(datasetId)]);
      return true;
    });
  }

  /** Until the past files of deleted revisions are deleted too. */
  #makeDue(datasetId: string) {
    return this.#db.query.updateTable('dataset').set({ history_due: 0 }).where('id', '=', datasetId);
  }

  async #expire(datasetId: string, now: Micros, signal?: AbortSignal): Promise<void> {
    for (let hasMore = true; hasMore && !signal?.aborted; ) hasMore = await this.#expireSome(datasetId, now);
  }

  /** Deletes some revisions, or else some past files. @returns whether there are more */
  async #expireSome(datasetId: string, now: Micros): Promise<boolean> {
    const { query } = this.#db;
    const expiring = withDataset(this.#db, { id: datasetId }, async (dataset, transaction) => {
      const { send, commit } = transaction;
      const latest = dataset.revision;
      const [rows] = await send([
        query
          .selectFrom('revision')
          .selectAll()
          .where('dataset_id', '=', datasetId)
          .where('pinned_at', 'is', null)
          .orderBy('number')
          .limit(ROWS_PER_STATEMENT),
      ]);
      const expiries = rows.map((row) => expiryOf(revisionOf(row), { latest, rules: this.#options.rules }));
      const kept = expiries.findIndex((expiry) => expiry === undefined || expiry > now);
      const expired = rows.slice(0, kept < 0 ? rows.length : kept).map(({ number }) => number);
      if (expired.length > 0) {
        const deletion = query.deleteFrom('revision').where('dataset_id', '=', datasetId);
        await commit([deletion.where('number', 'in', expired), this.#makeDue(datasetId)]);
        return true;
      }
      const before = rows[0]?.number ?? latest;
      const past = await unneededPastFiles(query, transaction, { datasetId, before });
      if (past.length > 0) {
        await commit(await this.#deletionOf(past, { accountId: dataset.account_id, now, transaction }));
        return true;
      }
      const due = expiries[0] ?? null;
      await commit([query.updateTable('dataset').set({ history_due: due }).where('id', '=', datasetId)]);
      return false;
    });
    return (await expiring) ?? false;
  }

  /** The statements that delete past files, and add blobs to the trash that neither a file nor another past file names. */
  async #deletionOf(
    past: readonly UnneededFile[],
    { accountId, now, transaction }: { accountId: string; now: Micros; transaction: Transaction },
  ) {
    const { query } = this.#db;
    const ids = [...new Set(past.map(({ id }) => id))];
    const deleted = new Set(past.map(({ id, added_in }) => `${id} ${added_in}`));
    const [files, rows] = await transaction.send([
      query.selectFrom('file').select('id').where('id', 'in', ids),
      query.selectFrom('past_file').select(['id', 'added_in']).where('id', 'in', ids),
    ]);
    const others = rows.filter(({ id, added_in }) => !deleted.has(`${id} ${added_in}`));
    const named = new Set([...files, ...others].map(({ id }) => id));
    const unnamed = new Map(past.filter(({ id }) => !named.has(id)).map((file) => [file.id, file]));
    const trash = [...unnamed.values()].map(({ id, dataset_id }) => ({
      blob_key: `${dataset_id}/${id}`,
      delete_after: now + this.#options.blobGrace,
    }));
    const freed = [...unnamed.values()].reduce((sum, { size_bytes }) => sum + size_bytes, 0);
    const keys = past.map(({ id, added_in }) => sql`(${id}, cast(${added_in} as bigint))`);
    return [
      query.deleteFrom('past_file').where(sql<boolean>`(id, added_in) in (values ${sql.join(keys)})`),
      ...(trash.length === 0
        ? []
        : [
            query
              .insertInto('trash')
              .values(trash)
              .onConflict((conflict) => conflict.column('blob_key').doNothing()),
          ]),
      query
        .updateTable('account')
        .set((eb) => ({ history_bytes: eb('history_bytes', '-', freed) }))
        .where('id', '=', accountId),
    ];
  }
}

type RevisionKey = Readonly<Pick<Schema['revision'], 'dataset_id' | 'number'>>;

interface UnneededFile {
  readonly id: string;
  readonly dataset_id: string;
  readonly added_in: number;
  readonly size_bytes: number;
}

/**
 * Past files that no revision has, removed in or before the first revision that is not pinned. Of those that one revision removed,
 * these are the ones that were added after the last kept revision before it. So they are found in the index without a look at the
 * others, of which pinned revisions may have millions (a loose index scan, https://wiki.postgresql.org/wiki/Loose_indexscan).
 */
async function unneededPastFiles(
  query: Query,
  { send }: Transaction,
  { datasetId, before }: { datasetId: string; before: number },
): Promise<UnneededFile[]> {
  const past = query.selectFrom('past_file').where('dataset_id', '=', datasetId);
  const firstRemoval = past
    .select(({ fn }) => fn.min<number | null>('removed_in').as('number'))
    .where('removed_in', '<=', before);
  const [rows] = await send([
    query
      .withRecursive('removal', (db) =>
        firstRemoval.unionAll(
          db
            .selectFrom('removal')
            .select(({ ref }) => firstRemoval.where('removed_in', '>', ref('removal.number')).as('number'))
            .where('removal.number', 'is not', null),
        ),
      )
      .selectFrom('removal')
      // SQLite keeps this order of a cross join (https://sqlite.org/lang_select.html); the other would look at all past files.
      .crossJoin('past_file')
      .select(['id', 'past_file.dataset_id', 'added_in', 'size_bytes'])
      .where('past_file.dataset_id', '=', datasetId)
      .whereRef('removed_in', '=', 'removal.number')
      .where(({ eb, fn, selectFrom, val }) => {
        const keptBefore = selectFrom('revision')
          .select((of) => of.fn.max('revision.number').as('number'))
          .where('revision.dataset_id', '=', datasetId)
          .whereRef('revision.number', '<', 'removal.number');
        // Files from before the history were added in 0.
        return eb('added_in', '>', fn.coalesce(keptBefore, val(-1)));
      })
      .limit(ROWS_PER_STATEMENT),
  ]);
  return rows;
}
