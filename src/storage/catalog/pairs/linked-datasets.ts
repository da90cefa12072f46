import { stemGroupsOf } from '../../../dataset/counts.js';
import type { Dataset, DatasetFile, DatasetLink, LinkSlot, StoredFile } from '../../../dataset/dataset.js';
import { type LinkPairs, linkPairsOf } from '../../../dataset/pairs/links.js';
import { isPairFile, PAIR_FAULTS, type PairFile } from '../../../dataset/pairs/pair-faults.js';
import { pairErrorsIn } from '../../../dataset/pairs/pair-proof.js';
import type { Database } from '../../database/database.js';
import { StateCache } from '../../state-cache.js';
import { type LinkedFilesBySlot, type LinkRow, linksOf, readFiles, readPairs } from './dataset-rows.js';
import { type DatasetRow, datasetRecordOf, LINKED, unlinkedDatasetOf } from '../rows.js';
import { rowChunksOf } from '../statements.js';

/** Stems and problems that are remembered, of all datasets; a few hundred bytes each. */
const MAX_REMEMBERED = 100_000;

/** What a link without problems counts: it takes a kilobyte or two. */
const SIZE_OF_LINK = 10;

/** A dataset and its files at one moment. */
export interface DatasetContents {
  readonly dataset: Dataset;
  readonly files: readonly DatasetFile[];
  /** What follows from the pairs of each of its links. */
  readonly pairs: readonly LinkPairs[];
}

/** The rows of a dataset and its links, at one moment or not. */
interface Rows {
  readonly row: DatasetRow;
  readonly links: readonly LinkRow[];
}

/** Runs a read of all files of a dataset. */
type ReadMany = <T>(accountId: string, read: () => Promise<T>) => Promise<T>;

/**
 * Reads datasets with their links. Whether the pairs are complete is derived from the files of all datasets of a target, and
 * remembered as long as none of them changes. Datasets without links take no other query.
 */
export class LinkedDatasets {
  readonly #db: Database;
  readonly #readMany: ReadMany;
  readonly #remembered = new StateCache<readonly LinkPairs[]>(MAX_REMEMBERED);

  constructor(db: Database, readMany: ReadMany) {
    this.#db = db;
    this.#readMany = readMany;
  }

  /** The datasets of rows, with their links. */
  async withLinks(rows: readonly DatasetRow[]): Promise<Dataset[]> {
    const ids = rows.filter(({ linked }) => linked === LINKED.from).map(({ id }) => id);
    const links: LinkRow[] = [];
    for (const chunk of rowChunksOf(ids)) {
      links.push(...(await linksOf(this.#db.query).where('link.dataset_id', 'in', chunk).execute()));
    }
    const byTarget = new Map(ids.map((id): [string, LinkRow[]] => [id, []]));
    for (const link of links) byTarget.get(link.target_id)?.push(link);
    const datasets: Dataset[] = [];
    for (const row of rows) datasets.push(await this.#judged({ row, links: byTarget.get(row.id) ?? [] }));
    return datasets;
  }

  async #judged(rows: Rows): Promise<Dataset> {
    const { id, account_id: accountId } = rows.row;
    const remembered = this.#recall(rows);
    if (remembered !== undefined) return datasetOf(rows, remembered);
    return this.#readMany(accountId, async () => {
      // Another request may have read it while this one waited.
      const earlier = this.#recall(rows);
      if (earlier !== undefined) return datasetOf(rows, earlier);
      const found = await readPairs(this.#db, { accountId, id });
      // It was deleted meanwhile.
      if (found === undefined) return unlinkedDatasetOf(rows.row);
      return datasetOf(found, this.#judge(found, found.media, found.linkedFiles));
    });
  }

  /** A dataset with its links and all its files, unordered, from one snapshot, so that the counts agree with the files. */
  async contents(key: Pick<Dataset, 'accountId' | 'id'>): Promise<DatasetContents | undefined> {
    if (this.#remembered.has(key.id)) {
      const found = await readFiles(this.#db, key, { withLinkedFiles: false });
      const pairs = found && this.#recall(found);
      if (found !== undefined && pairs !== undefined) return contentsOf(found, pairs);
    }
    const found = await readFiles(this.#db, key, { withLinkedFiles: true });
    if (found === undefined) return undefined;
    return contentsOf(found, this.#judge(found, found.files.filter(isSound), found.linkedFiles));
  }

  #recall({ row, links }: Rows): readonly LinkPairs[] | undefined {
    return links.length === 0 ? [] : this.#remembered.get(row.id, stateOf({ row, links }));
  }

  /** @param rows at the moment of the files */
  #judge(rows: Rows, media: readonly PairFile[], linkedFiles: LinkedFilesBySlot): readonly LinkPairs[] {
    if (rows.links.length === 0) return [];
    const target = { name: rows.row.name, groups: stemGroupsOf(media.filter(isPairFile)) };
    const pairs = linksIn(rows).map((link) => linkPairsOf(target, link, linkedFiles.get(link.slot) ?? []));
    this.#remembered.set(rows.row.id, stateOf(rows), { value: pairs, size: sizeOf(pairs) });
    return pairs;
  }
}

/** Equal for two moments only if the names and files of all datasets are equal. */
function stateOf({ row, links }: Rows): string {
  return JSON.stringify([row.version, links.map(({ slot, id, version }) => [slot, id, version])]);
}

function sizeOf(pairs: readonly LinkPairs[]): number {
  const sizes = pairs.flatMap(({ proof, problems }) => [
    ...PAIR_FAULTS.map((fault) => proof[fault].length),
    problems.length,
  ]);
  return sizes.reduce((sum, size) => sum + size, SIZE_OF_LINK * pairs.length);
}

function linksIn({ links }: Rows): DatasetLink[] {
  return links.map(({ target_id: _, slot, ...row }) => ({ slot: slot as LinkSlot, dataset: unlinkedDatasetOf(row) }));
}

function datasetOf(rows: Rows, pairs: readonly LinkPairs[]): Dataset {
  const record = datasetRecordOf(rows.row);
  const unpaired = pairs.reduce((sum, { proof }) => sum + pairErrorsIn(proof), 0);
  return { ...record, counts: { ...record.counts, unpaired }, links: linksIn(rows) };
}

function contentsOf(found: Rows & { files: readonly DatasetFile[] }, pairs: readonly LinkPairs[]): DatasetContents {
  return { dataset: datasetOf(found, pairs), files: found.files, pairs };
}

function isSound(file: DatasetFile): file is StoredFile {
  return file.upload.state === 'stored' && file.upload.problem === undefined;
}
