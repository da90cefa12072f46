import { randomBytes } from 'node:crypto';
import type { Dataset, Role, Status, StoredFile } from '../dataset/dataset.js';
import { ServiceError } from '../dataset/errors.js';
import { parseDatasetName } from '../dataset/names.js';
import { datasetStatusOf } from '../dataset/pairs/linked-status.js';
import type { Catalog } from '../storage/catalog/catalog.js';
import type { DatasetChanges } from '../storage/catalog/dataset-changes.js';
import type { DatasetRecord } from '../storage/catalog/rows.js';
import {
  type DatasetScope,
  type DatasetSummary,
  type DatasetView,
  datasetViewOf,
  storedFilesIn,
  viewStateOf,
  WHOLE_ACCOUNT,
} from './dataset-view.js';
import type { ServiceDependencies } from './dependencies.js';

const PAGE_DATASETS = 500;

/** A dataset of another account counts as not found. */
export interface DatasetKey {
  readonly accountId: string;
  readonly id: string;
}

export interface DatasetListQuery {
  readonly accountId: string;
  readonly ids?: readonly string[] | undefined;
  readonly name?: string | undefined;
  readonly role?: Role | undefined;
  readonly status?: Status | undefined;
  readonly after?: { readonly createdAt: number; readonly id: string } | undefined;
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class DatasetService {
  readonly #dependencies: ServiceDependencies;

  constructor(dependencies: ServiceDependencies) {
    this.#dependencies = dependencies;
  }

  /** The name is random if none is given. @throws ServiceError `invalid_name`, `name_taken` */
  async create({
    accountId,
    name,
    role = 'training',
  }: Pick<DatasetListQuery, 'accountId' | 'name' | 'role'>): Promise<DatasetSummary> {
    const { catalog, newId, now } = this.#dependencies;
    const parsedName = name === undefined ? `ds_${randomBytes(8).toString('hex')}` : parseDatasetName(name);
    const dataset = await catalog.createDataset({ id: newId(), accountId, role, name: parsedName, createdAt: now() });
    return this.#summaryOf(dataset);
  }

  /** An account's datasets, newest first: all, or up to `limit` after `after`; with `ids`, only these. @throws the signal's reason */
  async list(query: DatasetListQuery): Promise<DatasetSummary[]> {
    const { catalog } = this.#dependencies;
    const { status, limit = Number.POSITIVE_INFINITY, signal, ...filter } = query;
    // Status depends on time, so it is compared here, and a page may have none that match.
    const pageSize = status === undefined ? Math.min(limit, PAGE_DATASETS) : PAGE_DATASETS;
    const found: DatasetSummary[] = [];
    let { after } = filter;
    for (;;) {
      signal?.throwIfAborted();
      const page = await catalog.datasets({ ...filter, after, limit: pageSize });
      for (const dataset of page) {
        const summary = this.#summaryOf(dataset);
        if (status === undefined || summary.status === status) found.push(summary);
        if (found.length === limit) return found;
      }
      if (page.length < pageSize) return found;
      after = page.at(-1);
    }
  }

  /** @throws ServiceError `dataset_not_found` */
  async summary(key: DatasetKey): Promise<DatasetSummary> {
    return this.#summaryOf(await findDataset(this.#dependencies.catalog, key));
  }

  /** The state of a view, without reading files. @throws ServiceError `dataset_not_found` */
  async state(key: DatasetKey): Promise<string | undefined> {
    const { catalog, now, rules } = this.#dependencies;
    return viewStateOf({ dataset: await findDataset(catalog, key), at: now() }, rules);
  }

  /** @throws ServiceError `dataset_not_found` */
  async view(key: DatasetKey, scope: DatasetScope = WHOLE_ACCOUNT): Promise<DatasetView> {
    const found = await this.#dependencies.catalog.contents(key);
    if (found === undefined) throw datasetNotFound(key.id);
    return datasetViewOf(found, scope, this.#dependencies);
  }

  /** The named files that are stored without a problem, by name. */
  async filesNamed(datasetId: string, filenames: readonly string[]): Promise<StoredFile[]> {
    const stored = await this.#dependencies.catalog.storedFiles({ datasetId, filenames });
    return storedFilesIn(stored.filter(({ upload }) => upload.problem === undefined));
  }

  /** @throws ServiceError `dataset_not_found`, `invalid_name`, `name_taken`; `dataset_linked` if a link depends on the role */
  async change(
    key: DatasetKey,
    { name, role }: DatasetChanges,
    { boundIds }: Pick<DatasetScope, 'boundIds'> = WHOLE_ACCOUNT,
  ): Promise<DatasetSummary> {
    const { catalog, now } = this.#dependencies;
    const changes = { name: name === undefined ? undefined : parseDatasetName(name), role };
    if (!(await catalog.changeDataset({ ...key, boundIds }, changes, now()))) throw datasetNotFound(key.id);
    return this.summary(key);
  }

  /** @throws ServiceError `dataset_not_found`; `dataset_linked` if others link to it */
  async remove(key: DatasetKey, { boundIds }: Pick<DatasetScope, 'boundIds'> = WHOLE_ACCOUNT): Promise<void> {
    const { catalog, now } = this.#dependencies;
    if (!(await catalog.deleteDataset({ ...key, boundIds }, now()))) throw datasetNotFound(key.id);
  }

  #summaryOf(dataset: Dataset): DatasetSummary {
    return { dataset, status: datasetStatusOf(dataset, this.#dependencies.now(), this.#dependencies.rules) };
  }
}

/** @throws ServiceError `dataset_not_found` */
export async function findDataset(catalog: Catalog, key: DatasetKey): Promise<Dataset> {
  const dataset = await catalog.dataset(key);
  if (dataset === undefined) throw datasetNotFound(key.id);
  return dataset;
}

/** A dataset without what its links decide. @throws ServiceError `dataset_not_found` */
export async function findRecord(catalog: Catalog, key: DatasetKey): Promise<DatasetRecord> {
  const record = await catalog.record(key);
  if (record === undefined) throw datasetNotFound(key.id);
  return record;
}

/** Also for a dataset that was deleted, or belongs to another account. */
export function datasetNotFound(id: string): ServiceError {
  return new ServiceError('dataset_not_found', `Dataset ${id} does not exist.`);
}

export function fileNotFound(filename: string): ServiceError {
  return new ServiceError('file_not_found', `The dataset has no file ${JSON.stringify(filename)}.`);
}
