import type { LinkSlot } from '../../../dataset/dataset.js';
import { type FileKind, stemOf } from '../../../dataset/media.js';
import { type PairFile, pairErrorsOf, pairFilesIn } from '../../../dataset/pairs/pair-faults.js';
import type { StemGroup } from '../../../dataset/upload-transitions.js';
import type { Database, Query, Transaction } from '../../database/database.js';
import { type DatasetRow, factsReader, LINKED } from '../rows.js';
import { rowChunksOf } from '../statements.js';

/** About as many files across links are read at once. */
const FILES_PER_PAGE = 2000;

/** The files of one stem before and after a change. */
export interface StemChange {
  readonly stem: string;
  readonly before: StemGroup;
  readonly after: StemGroup;
}

/** By how much the errors of pairs of a target grow. */
export interface UnpairedShift {
  readonly datasetId: string;
  readonly by: number;
}

interface PairedDataset {
  readonly datasetId: string;
  readonly slot: LinkSlot;
  readonly filesOf: (stem: string) => readonly PairFile[];
}

/**
 * Computes by how much the errors of pairs grow with a change of files in a dataset that has links, or is linked to. The row
 * of the dataset must be locked. This locks the targets that link to it, in the order of their ids, a page at a time, and reads
 * the other side of the changed pairs after that. A change of a target locks no other dataset, so that no two changes wait for
 * each other; and whichever of two concurrent changes gets the lock of the target last, reads what the other has written.
 */
export async function unpairedShiftsOf(
  { query, hasRowLocks }: Database,
  send: Transaction['send'],
  { row, changes, isWholeDataset }: { row: DatasetRow; changes: readonly StemChange[]; isWholeDataset: boolean },
): Promise<UnpairedShift[]> {
  if (row.linked === LINKED.none) return [];
  const paired = changes.filter(changesPairs);
  if (paired.length === 0) return [];
  const stems = isWholeDataset ? undefined : paired.map(({ stem }) => stem);
  if (row.linked === LINKED.from) {
    const [slots, ...files] = await send([
      query.selectFrom('link').select(['slot', 'linked_id as other_id']).where('dataset_id', '=', row.id),
      ...filesAcrossLinks(query, { from: 'dataset_id', id: row.id, stems }),
    ]);
    const linked = pairedDatasets(slots, files.flat());
    const by = sum(paired, ({ stem, before, after }) =>
      sum(linked, ({ slot, filesOf }) => growth({ before, after }, (own) => pairErrorsOf(own, filesOf(stem), slot))),
    );
    return by === 0 ? [] : [{ datasetId: row.id, by }];
  }
  const shifts: UnpairedShift[] = [];
  const limit = isWholeDataset ? 1 : Math.max(1, Math.floor(FILES_PER_PAGE / paired.length));
  for (let afterId = ''; ; ) {
    const targets = query
      .selectFrom('link')
      .innerJoin('dataset', 'dataset.id', 'link.dataset_id')
      .select(['link.slot', 'link.dataset_id as other_id'])
      .where('link.linked_id', '=', row.id)
      .where('link.dataset_id', '>', afterId)
      .orderBy('link.dataset_id')
      .limit(limit);
    const [slots, ...files] = await send([
      hasRowLocks ? targets.forNoKeyUpdate('dataset') : targets,
      ...filesAcrossLinks(query, { from: 'linked_id', id: row.id, stems, page: { after: afterId, limit } }),
    ]);
    for (const { datasetId, slot, filesOf } of pairedDatasets(slots, files.flat())) {
      const by = sum(paired, ({ stem, before, after }) =>
        growth({ before, after }, (own) => pairErrorsOf(filesOf(stem), own, slot)),
      );
      if (by !== 0) shifts.push({ datasetId, by });
    }
    if (slots.length < limit) return shifts;
    afterId = slots.at(-1)!.other_id;
  }
}

/** Renewed leases, reservations and captions change no pair. */
function changesPairs({ before, after }: StemChange): boolean {
  const [from, to] = [pairFilesIn(before), pairFilesIn(after)];
  return from.length !== to.length || from.some((file) => !to.includes(file));
}

function growth(
  { before, after }: { before: StemGroup; after: StemGroup },
  errorsOf: (files: readonly PairFile[]) => number,
): number {
  return errorsOf(pairFilesIn(after)) - errorsOf(pairFilesIn(before));
}

interface AcrossLinks {
  readonly from: 'dataset_id' | 'linked_id';
  readonly id: string;
  readonly stems: readonly string[] | undefined;
  /** Of the datasets that link to it, only as many as `limit`, by their ids, after this one. */
  readonly page?: { readonly after: string; readonly limit: number };
}

/**
 * Selects the images and videos of these stems, or of all, that are across the links of a dataset: those of the datasets that
 * it links to (`from` is `dataset_id`), or of those that link to it (`linked_id`).
 */
export function filesAcrossLinks(query: Query, { from, id, stems, page }: AcrossLinks) {
  const other = from === 'dataset_id' ? 'link.linked_id' : 'link.dataset_id';
  const ofAll = query
    .selectFrom('link')
    .innerJoin('file', 'file.dataset_id', other)
    .select([`${other} as other_id`, 'file.filename', 'file.kind', 'file.facts'])
    .where(`link.${from}`, '=', id)
    .where('file.state', '=', 'stored')
    .where('file.kind', '<>', 'caption')
    .where('file.problem', 'is', null);
  const all =
    page === undefined
      ? ofAll
      : ofAll.where('link.dataset_id', 'in', (eb) =>
          eb
            .selectFrom('link as paged')
            .select('paged.dataset_id')
            .where('paged.linked_id', '=', id)
            .where('paged.dataset_id', '>', page.after)
            .orderBy('paged.dataset_id')
            .limit(page.limit),
        );
  if (stems === undefined) return [all];
  return rowChunksOf(stems).map((chunk) => all.where('file.stem', 'in', chunk));
}

interface PairFileRow {
  readonly other_id: string;
  readonly filename: string;
  readonly kind: string;
  readonly facts: string | null;
}

/** The datasets across the links of a dataset, each with its files. */
export function pairedDatasets(
  slots: readonly { readonly slot: string; readonly other_id: string }[],
  rows: readonly PairFileRow[],
): PairedDataset[] {
  const pairFileOf = pairFileReader();
  const groups = new Map<string, PairFile[]>();
  const keyOf = (datasetId: string, stem: string) => `${datasetId} ${stem}`;
  for (const row of rows) {
    const key = keyOf(row.other_id, stemOf(row.filename));
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [pairFileOf(row)]);
    else group.push(pairFileOf(row));
  }
  return slots.map(({ slot, other_id: datasetId }) => ({
    datasetId,
    slot: slot as LinkSlot,
    filesOf: (stem) => groups.get(keyOf(datasetId, stem)) ?? [],
  }));
}

/** Makes a function that turns rows into files of pairs. */
export function pairFileReader(): (row: Omit<PairFileRow, 'other_id'>) => PairFile {
  const factsOf = factsReader();
  return ({ filename, kind, facts }) => ({ filename, kind: kind as FileKind, upload: { facts: factsOf(facts) } });
}

/** Writes how the errors of pairs grow: one change of a control mostly means the same for all datasets that link to it. */
export function shiftUnpaired(query: Query, shifts: readonly UnpairedShift[]) {
  const ids = new Map<number, string[]>();
  for (const { datasetId, by } of shifts) {
    const grown = ids.get(by);
    if (grown === undefined) ids.set(by, [datasetId]);
    else grown.push(datasetId);
  }
  return [...ids].flatMap(([by, grown]) =>
    rowChunksOf(grown).map((chunk) =>
      query
        .updateTable('dataset')
        .set((eb) => ({ unpaired: eb('unpaired', '+', by) }))
        .where('id', 'in', chunk),
    ),
  );
}

function sum<T>(items: readonly T[], numberOf: (item: T) => number): number {
  return items.reduce((total, item) => total + numberOf(item), 0);
}
