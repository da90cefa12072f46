import { type Compilable, sql } from 'kysely';
import type { Author, DatasetFile, Micros, StoredFile } from '../../../dataset/dataset.js';
import { historyAfter, type StoredDifference } from '../../../dataset/history/revisions.js';
import type { ErrorProblem } from '../../../dataset/problems.js';
import type { Query } from '../../database/database.js';
import type { Schema } from '../../database/schema.js';
import { type DatasetRow, STORED } from '../rows.js';
import { type HistoryColumns, rowChunksOf, statementOf } from '../statements.js';
import { BLOB_KEY } from '../trash.js';

/** The author of uploads that are older than the history. */
const UNKNOWN_AUTHOR: Author = { tokenId: null, tokenName: null, how: 'upload', changeId: null };

type RevisionChange = Omit<Schema['revision'], 'digest' | 'ready_as' | 'pinned_at' | 'pinned_by' | 'pin_note'>;

/**
 * Decides to which revision a change of stored files belongs, from the locked row of the dataset.
 *
 * @returns the files that move to the history; the revision that added each stored file, by id; the columns of the dataset; the
 * change of the revision, if there is one
 */
export function historyChangeOf(
  row: DatasetRow,
  { added, removed, changed, identical }: StoredDifference,
  {
    author = UNKNOWN_AUTHOR,
    now,
    restoredFrom,
  }: { author: Author | undefined; now: Micros; restoredFrom: number | null },
) {
  const { id, revision: latest, revision_group, revision_since } = row;
  const past = [...removed, ...changed.map(({ from }) => from)];
  const addedIn = new Map(identical.map(({ from, to }) => [to.id, from.upload.addedIn ?? latest]));
  if (added.length + past.length === 0) {
    const columns: HistoryColumns = { revision: latest, revision_group, revision_since };
    return { past, addedIn, columns, revision: undefined };
  }
  const open = revision_group === null ? null : { group: revision_group, startedAt: revision_since ?? 0 };
  const next = historyAfter({ latest, open }, { author, past, now });
  for (const { id: fileId } of [...added, ...changed.map(({ to }) => to)]) addedIn.set(fileId, next.latest);
  const columns: HistoryColumns = {
    ...{ revision: next.latest, revision_group: next.open?.group ?? null },
    revision_since: next.open?.startedAt ?? null,
  };
  const revision = {
    ...{ dataset_id: id, number: next.latest, started_at: now, changed_at: now },
    ...{ token_id: author.tokenId, token_name: author.tokenName, how: author.how, change_id: author.changeId },
    ...{ added: added.length, removed: removed.length, changed: changed.length, restored_from: restoredFrom },
  };
  return { past, addedIn, columns, revision };
}

/** Copies stored files into the history, before their rows are deleted. */
export function moveToPast(query: Query, files: readonly StoredFile[], removedIn: number) {
  const row = sql`select ${STORED}, cast(${removedIn} as bigint) from file`;
  return rowChunksOf(files.map(({ id }) => id)).map((ids) =>
    statementOf(query, sql<never>`insert into past_file (${STORED}, removed_in) ${row} where id in (${sql.join(ids)})`),
  );
}

/** Adds a change to its revision, which may be new. */
export function writeRevision(query: Query, change: RevisionChange) {
  const names = Object.keys(change).map((name) => sql.ref(name));
  const insert = sql<never>`
    insert into revision (${sql.join(names)}) values (${sql.join(Object.values(change))})
    on conflict (dataset_id, number) do update set
      changed_at = excluded.changed_at,
      added = revision.added + excluded.added,
      removed = revision.removed + excluded.removed,
      changed = revision.changed + excluded.changed,
      files = excluded.files,
      bytes = excluded.bytes,
      digest = null,
      ready_as = null`;
  return statementOf(query, insert);
}

/** Records which past files are damaged or sound: restored ones share a blob with the dataset. The row must be locked. */
export function judgePastFiles(
  query: Query,
  judged: readonly { id: string; upload: { problem?: ErrorProblem } }[],
): Compilable<unknown>[] {
  return judged.map(({ id, upload }) => {
    const problem = upload.problem === undefined ? null : JSON.stringify(upload.problem);
    return statementOf(query, sql`update past_file set problem = ${problem} where id = ${id}`);
  });
}

/** Takes blobs that the history names out of the trash after the same bytes were stored under another id, and counts them. */
export function keepNamedBlobs(
  query: Query,
  identical: StoredDifference['identical'],
  accountId: string,
): Compilable<unknown>[] {
  return rowChunksOf(identical.map(({ from }) => from.id)).flatMap((ids) => {
    const named = sql`(select distinct ${BLOB_KEY} as blob_key, size_bytes from past_file where id in (${sql.join(ids)}))`;
    const bytes = sql`(select coalesce(sum(size_bytes), 0) from ${named} as named)`;
    const reclaimed = sql`(select blob_key from ${named} as named)`;
    return [
      statementOf(query, sql`delete from trash where blob_key in ${reclaimed}`),
      statementOf(query, sql`update account set history_bytes = history_bytes + ${bytes} where id = ${accountId}`),
    ];
  });
}

export function withRevision(file: DatasetFile, addedIn: ReadonlyMap<string, number>): DatasetFile {
  const number = addedIn.get(file.id);
  return number === undefined ? file : ({ ...file, upload: { ...file.upload, addedIn: number } } as DatasetFile);
}
