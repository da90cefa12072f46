import type { Dataset, DatasetLink, LinkSlot } from '../../../dataset/dataset.js';
import type { ChangeFeed } from '../../database/change-feed.js';
import type { Database, Query } from '../../database/database.js';
import { type DatasetRow, datasetRecordOf, LINKED } from '../rows.js';
import { rowChunksOf } from '../statements.js';
import { type LinkReplacement, type ReplacementOptions, replaceLinks } from './replace-links.js';

/** A row of `link` with the dataset that it leads to. */
export type LinkRow = DatasetRow & { readonly target_id: string; readonly slot: string };

/** Selects the links of target datasets; each target's in the order of the slots. */
export function linksOf(query: Query) {
  return query
    .selectFrom('link')
    .innerJoin('dataset', 'dataset.id', 'link.linked_id')
    .selectAll('dataset')
    .select(['link.dataset_id as target_id', 'link.slot'])
    .orderBy('link.slot');
}

export function datasetLinksOf(rows: readonly LinkRow[]): DatasetLink[] {
  return rows.map(({ target_id: _, slot, ...row }) => ({
    slot: slot as LinkSlot,
    dataset: { ...datasetRecordOf(row), links: [] },
  }));
}

/** The datasets of rows with their links, which take another query only if a row has some. */
export async function withLinks(query: Query, rows: readonly DatasetRow[]): Promise<Dataset[]> {
  const ids = rows.filter(({ linked }) => linked === LINKED.from).map(({ id }) => id);
  const byTarget = new Map<string, LinkRow[]>();
  for (const chunk of rowChunksOf(ids)) {
    for (const row of await linksOf(query).where('link.dataset_id', 'in', chunk).execute()) {
      const links = byTarget.get(row.target_id);
      if (links === undefined) byTarget.set(row.target_id, [row]);
      else links.push(row);
    }
  }
  return rows.map((row) => ({ ...datasetRecordOf(row), links: datasetLinksOf(byTarget.get(row.id) ?? []) }));
}

/** A training dataset that links to another. */
export interface LinkingDataset {
  readonly id: string;
  readonly name: string;
}

interface LinksOptions extends ReplacementOptions {
  readonly changes: ChangeFeed;
}

/** Reads and replaces the links between datasets. */
export class Links {
  readonly #db: Database;
  readonly #options: LinksOptions;

  constructor(db: Database, options: LinksOptions) {
    this.#db = db;
    this.#options = options;
  }

  /** The training datasets that link to a dataset, by name, at most `limit`. */
  linkingTo(datasetId: string, limit: number): Promise<LinkingDataset[]> {
    return linkingTo(this.#db.query, datasetId).limit(limit).execute();
  }

  /** Those of some training datasets that link to a dataset, by name. */
  linkingAmong(ids: readonly string[], datasetId: string): Promise<LinkingDataset[]> {
    return linkingTo(this.#db.query, datasetId, ids).execute();
  }

  /**
   * Replaces the links of a dataset, and proves its pairs.
   *
   * @returns false if the account has no such dataset
   * @throws ServiceError `wrong_role`; `dataset_not_found` if a linked dataset is gone
   */
  async replace(key: Pick<Dataset, 'accountId' | 'id'>, replacement: LinkReplacement): Promise<boolean> {
    const { changes, ...options } = this.#options;
    const ids = await replaceLinks(this.#db, key, replacement, options);
    for (const datasetId of ids ?? []) changes.announce({ datasetId });
    return ids !== undefined;
  }
}

/** Selects the datasets that link to another, by name; with `among`, only those of these ids. */
export function linkingTo(query: Query, linkedId: string, among?: readonly string[] | null) {
  const all = query
    .selectFrom('link')
    .innerJoin('dataset', 'dataset.id', 'link.dataset_id')
    .select(['dataset.id', 'dataset.name'])
    .where('link.linked_id', '=', linkedId)
    .orderBy('dataset.name');
  return among == null ? all : all.where('dataset.id', 'in', among);
}
