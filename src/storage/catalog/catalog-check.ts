import { sql } from 'kysely';
import { COUNT_FIELDS, countsOfStem, recount, type StemCounts } from '../../dataset/counts.js';
import { type CompleteFile, type DatasetFile, isRetired, liveUntil, type Micros } from '../../dataset/dataset.js';
import type { ErrorProblem } from '../../dataset/problems.js';
import type { Database, Query } from '../database/database.js';
import { inSnapshot, type RunStatement, runOn } from './catalog-rows.js';
import { judgePastFiles } from './history/record-history.js';
import { pastFileOf } from './history/revision-rows.js';
import { recountUnpaired } from './pairs/recount-pairs.js';
import { countsInRow, type DatasetRow, fileOf, LINKED } from './rows.js';
import { datasetById, IS_LIVE, lockedDatasetById, rowChunksOf, writeCounts } from './statements.js';

/** Files of one stem may fall on two pages. */
const FILES_PER_PAGE = 1000;

/** A received, stored or past file of any account. */
export interface FileToCheck {
  readonly file: CompleteFile;
  readonly datasetName: string;
}

/** At most `limit` files with ids after `after`. */
export interface CheckPage {
  readonly after: string;
  readonly limit: number;
}

/** The received and stored files, by id. */
export async function completeFilesAfter({ query }: Database, { after, limit }: CheckPage): Promise<FileToCheck[]> {
  const rows = await query
    .selectFrom('file')
    .innerJoin('dataset', 'dataset.id', 'file.dataset_id')
    .selectAll('file')
    .select('dataset.name as dataset_name')
    .where(IS_LIVE)
    .where('file.id', '>', after)
    .where('file.state', 'in', ['received', 'stored'])
    .orderBy('file.id')
    .limit(limit)
    .execute();
  return rows.map(({ dataset_name, ...row }) => ({ file: fileOf(row) as CompleteFile, datasetName: dataset_name }));
}

/** The files that only the history has, by id, each once. */
export async function pastFilesAfter({ query }: Database, { after, limit }: CheckPage): Promise<FileToCheck[]> {
  const rows = await query
    .selectFrom('past_file')
    .innerJoin('dataset', 'dataset.id', 'past_file.dataset_id')
    .selectAll('past_file')
    .select('dataset.name as dataset_name')
    .where(IS_LIVE)
    .where('past_file.id', '>', after)
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('file').select('file.id').whereRef('file.id', '=', 'past_file.id'))),
    )
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('past_file as earlier')
            .select('earlier.id')
            .whereRef('earlier.id', '=', 'past_file.id')
            .whereRef('earlier.added_in', '<', 'past_file.added_in'),
        ),
      ),
    )
    .orderBy('past_file.id')
    .limit(limit)
    .execute();
  return rows.map(({ dataset_name, ...row }) => ({ file: pastFileOf(row), datasetName: dataset_name }));
}

/** The received, stored or past file with this id; `undefined` if neither a dataset nor its history has it any more. */
export async function completeFile({ query }: Database, id: string): Promise<CompleteFile | undefined> {
  const select = query.selectFrom('file').selectAll().where('id', '=', id).where('state', 'in', ['received', 'stored']);
  const row = await select.executeTakeFirst();
  if (row !== undefined) return fileOf(row) as CompleteFile;
  // After the files: a file moves from them to the history.
  const past = await query.selectFrom('past_file').selectAll().where('id', '=', id).limit(1).executeTakeFirst();
  return past && pastFileOf(past);
}

/** The dataset of each of these files that the history has, by the id of the file. */
export async function pastDatasetIds({ query }: Database, ids: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const chunk of rowChunksOf(ids)) {
    const rows = await query.selectFrom('past_file').select(['id', 'dataset_id']).where('id', 'in', chunk).execute();
    for (const { id, dataset_id } of rows) found.set(id, dataset_id);
  }
  return found;
}

/**
 * Records in the history that the bytes of a file are lost, so that the file has this problem also when it is restored, and
 * its revisions are READY no longer.
 */
export async function markPastFile(db: Database, id: string, problem: ErrorProblem): Promise<void> {
  const { query, hasRowLocks, transact } = db;
  const datasetId = (await pastDatasetIds(db, [id])).get(id);
  if (datasetId === undefined) return;
  await transact({ isDurable: true }, async ({ send, commit }) => {
    await send([(hasRowLocks ? lockedDatasetById : datasetById)(query, { id: datasetId })]);
    await commit(judgePastFiles(query, datasetId, [{ id, upload: { problem } }]));
  });
}

/** The files in any state that have one of these ids, by id. */
export async function filesById({ query }: Database, ids: readonly string[]): Promise<Map<string, DatasetFile>> {
  const found = new Map<string, DatasetFile>();
  for (const chunk of rowChunksOf(ids)) {
    const rows = await query.selectFrom('file').selectAll().where('id', 'in', chunk).execute();
    for (const row of rows) found.set(row.id, fileOf(row));
  }
  return found;
}

/** The keys in the trash that end with one of these ids of files. */
export async function trashOf({ query }: Database, fileIds: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>();
  const [length = 0] = fileIds.map((id) => id.length);
  // Both databases have these functions; a folder does not know the id of the dataset, with which keys begin.
  const fileId = sql<string>`substr(blob_key, length(blob_key) - ${sql.lit(length - 1)})`;
  for (const chunk of rowChunksOf(fileIds)) {
    const rows = await query.selectFrom('trash').select('blob_key').where(fileId, 'in', chunk).execute();
    for (const row of rows) found.add(row.blob_key);
  }
  return found;
}

/** The ids of datasets after `after`, in order. */
export async function datasetIdsAfter(
  { query }: Database,
  { after, limit }: { after: string; limit: number },
): Promise<string[]> {
  const select = query.selectFrom('dataset').select('id').where(IS_LIVE).where('id', '>', after);
  return (await select.orderBy('id').limit(limit).execute()).map(({ id }) => id);
}

/** A value in the row of a dataset that is not that of its files and links. */
export interface WrongCount {
  readonly name: string;
  readonly recorded: number | null;
  readonly counted: number | null;
}

/** A dataset whose row disagrees with its files or its links. */
export interface Miscounted {
  readonly datasetId: string;
  readonly datasetName: string;
  readonly wrong: readonly WrongCount[];
}

/**
 * Counts the files of a dataset and the errors of its pairs, and compares them, and the direction of its links, with its row;
 * memory does not grow with the files. Changes meanwhile look like a wrong count, so a difference is counted again in one
 * snapshot, where it can be corrected too.
 *
 * @returns `undefined` if they agree or the dataset is gone
 */
export async function checkCounts(
  db: Database,
  datasetId: string,
  { corrects }: { corrects: boolean },
): Promise<Miscounted | undefined> {
  const { query, hasRowLocks } = db;
  const found = await compareCounts(query, runOn(query), { datasetId, select: datasetById });
  if (found === undefined) return undefined;
  return inSnapshot(db, async (run, { commit }) => {
    const select = corrects && hasRowLocks ? lockedDatasetById : datasetById;
    const compared = await compareCounts(query, run, { datasetId, select });
    if (compared === undefined) return undefined;
    const { row, counts, pairs, ...miscounted } = compared;
    if (corrects) {
      await commit([
        writeCounts(query, { ...row, ...counts, datasetId, lastActivity: row.updated_at }),
        query.updateTable('dataset').set(pairs).where('id', '=', datasetId),
      ]);
    }
    return miscounted;
  });
}

async function compareCounts(
  query: Query,
  run: RunStatement,
  { datasetId, select }: { datasetId: string; select: typeof datasetById },
): Promise<(Miscounted & { row: DatasetRow; counts: StemCounts; pairs: PairColumns }) | undefined> {
  const [row] = await run<DatasetRow>(select(query, { id: datasetId }));
  if (row === undefined) return undefined;
  const { name: datasetName } = row;
  const recorded = countsInRow(row);
  const { counts, pendingUntil } = await countFiles(query, run, datasetId);
  const wrong: WrongCount[] = COUNT_FIELDS.map((name) => ({ name, recorded: recorded[name], counted: counts[name] }));
  const pairs = {
    linked: await linkedOf(query, run, datasetId),
    unpaired: await recountUnpaired(query, run, datasetId),
  };
  wrong.push({ name: 'linked', recorded: row.linked, counted: pairs.linked });
  wrong.push({ name: 'unpaired', recorded: row.unpaired, counted: pairs.unpaired });
  wrong.push({ name: 'pendingUntil', recorded: recorded.pendingUntil, counted: pendingUntil });
  const different = wrong.filter((count) => count.recorded !== count.counted);
  if (different.length === 0) return undefined;
  return { datasetId, datasetName, wrong: different, row, counts, pairs };
}

/** What a row says of the links of its dataset. */
type PairColumns = Pick<DatasetRow, 'linked' | 'unpaired'>;

/** What `dataset.linked` must be. */
async function linkedOf(query: Query, run: RunStatement, datasetId: string): Promise<number> {
  const links = query.selectFrom('link').select('slot').limit(1);
  if ((await run(links.where('dataset_id', '=', datasetId))).length > 0) return LINKED.from;
  return (await run(links.where('linked_id', '=', datasetId))).length > 0 ? LINKED.to : LINKED.none;
}

async function countFiles(query: Query, run: RunStatement, datasetId: string) {
  let counts = countsOfStem([]);
  let pendingUntil: Micros | null = null;
  let group: DatasetFile[] = [];
  let groupStem = '';
  for (let after: { stem: string; id: string } | undefined; ; ) {
    let select = query.selectFrom('file').selectAll().where('dataset_id', '=', datasetId);
    if (after !== undefined) {
      const { stem, id } = after;
      select = select.where(({ eb, refTuple, tuple }) => eb(refTuple('stem', 'id'), '>', tuple(stem, id)));
    }
    const rows = await run(select.orderBy('stem').orderBy('id').limit(FILES_PER_PAGE));
    for (const row of rows) {
      const file = fileOf(row);
      if (row.stem !== groupStem) {
        counts = recount(counts, [], group);
        [group, groupStem] = [[], row.stem];
      }
      group.push(file);
      const { upload } = file;
      if (upload.state === 'pending' && !isRetired(upload))
        pendingUntil = Math.max(pendingUntil ?? 0, liveUntil(upload));
    }
    after = rows.at(-1);
    if (rows.length < FILES_PER_PAGE) return { counts: recount(counts, [], group), pendingUntil };
  }
}
