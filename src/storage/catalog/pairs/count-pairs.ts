import type { LinkSlot } from '../../../dataset/dataset.js';
import { type FileKind, stemOf } from '../../../dataset/media.js';
import { type PairFile, pairErrorsOf, pairFilesIn } from '../../../dataset/pairs/pair-faults.js';
import type { StemGroup } from '../../../dataset/upload-transitions.js';
import type { Database, Query, Transaction } from '../../database/database.js';
import { type ParameterOf, preparedStatement } from '../../database/prepared-statement.js';
import { type DatasetRow, factsReader, LINKED } from '../rows.js';
import { rowChunksOf } from '../statements.js';

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
 * of the dataset must be locked. This locks the targets that link to it, in the order of their ids, and reads the other side
 * of the changed pairs after that. A change of a target locks no other dataset, so that no two changes wait for each other; and
 * whichever of two concurrent changes gets the lock of the target last, reads what the other has written.
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
  const targets = query
    .selectFrom('link')
    .innerJoin('dataset', 'dataset.id', 'link.dataset_id')
    .select(['link.slot', 'link.dataset_id as other_id'])
    .where('link.linked_id', '=', row.id)
    .orderBy('link.dataset_id');
  const [slots, ...files] = await send([
    hasRowLocks ? targets.forNoKeyUpdate('dataset') : targets,
    ...filesAcrossLinks(query, { from: 'linked_id', id: row.id, stems }),
  ]);
  return pairedDatasets(slots, files.flat()).flatMap(({ datasetId, slot, filesOf }) => {
    const by = sum(paired, ({ stem, before, after }) =>
      growth({ before, after }, (own) => pairErrorsOf(filesOf(stem), own, slot)),
    );
    return by === 0 ? [] : [{ datasetId, by }];
  });
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

/**
 * Selects the images and videos of these stems, or of all, that are across the links of a dataset: those of the datasets that
 * it links to (`from` is `dataset_id`), or of those that link to it (`linked_id`).
 */
export function filesAcrossLinks(
  query: Query,
  { from, id, stems }: { from: 'dataset_id' | 'linked_id'; id: string; stems: readonly string[] | undefined },
) {
  const other = from === 'dataset_id' ? 'link.linked_id' : 'link.dataset_id';
  const all = query
    .selectFrom('link')
    .innerJoin('file', 'file.dataset_id', other)
    .select([`${other} as other_id`, 'file.filename', 'file.kind', 'file.facts'])
    .where(`link.${from}`, '=', id)
    .where('file.state', '=', 'stored')
    .where('file.kind', '<>', 'caption')
    .where('file.problem', 'is', null);
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

export const shiftUnpaired = preparedStatement((query, parameter: ParameterOf<UnpairedShift>) =>
  query
    .updateTable('dataset')
    .set((eb) => ({ unpaired: eb('unpaired', '+', parameter('by')) }))
    .where('id', '=', parameter('datasetId')),
);

function sum<T>(items: readonly T[], numberOf: (item: T) => number): number {
  return items.reduce((total, item) => total + numberOf(item), 0);
}
