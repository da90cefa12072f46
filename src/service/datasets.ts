import { randomBytes } from 'node:crypto';
import type { Dataset, Role, Status, StoredFile } from '../dataset/dataset.js';
import { ServiceError } from '../dataset/errors.js';
import { parseDatasetName } from '../dataset/names.js';
import { datasetStatusOf } from '../dataset/pairs/linked-status.js';
import type { DatasetChanges } from '../storage/catalog/dataset-changes.js';
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

/** Datasets of a list that are read at once. */
const PAGE_DATASETS = 500;

/** A dataset id and the account of the request. A dataset of another account counts as not found. */
export interface DatasetKey {
  readonly accountId: string;
  readonly id: string;
}

interface NewDatasetRequest {
  readonly accountId: string;
  readonly name?: string | undefined;
  readonly role?: Role | undefined;
}

export interface DatasetListQuery {
  readonly accountId: string;
  readonly ids?: readonly string[] | undefined;
  readonly name?: string | undefined;
  readonly role?: Role | undefined;
  readonly status?: Status | undefined;
  readonly after?: { readonly createdAt: number; readonly id: string } | undefined;
  readonly limit?: number | undefined;
  /** Ends the list early. */
  readonly signal?: AbortSignal | undefined;
}

/** Creates, lists, reads, changes and deletes datasets. */
export class DatasetService {
  readonly #dependencies: ServiceDependencies;

  constructor(dependencies: ServiceDependencies) {
    this.#dependencies = dependencies;
  }

  /** Creates an empty dataset, with a random name if none is given. @throws ServiceError `invalid_name`, `name_taken` */
  async create({ accountId, name, role = 'training' }: NewDatasetRequest): Promise<DatasetSummary> {
    const dataset = await this.#dependencies.catalog.createDataset({
      id: this.#dependencies.newId(),
      accountId,
      role,
      name: name === undefined ? `ds_${randomBytes(8).toString('hex')}` : parseDatasetName(name),
      createdAt: this.#dependencies.now(),
    });
    return this.#summaryOf(dataset);
  }

  /**
   * Lists an account's datasets, newest first: all, or up to `limit` that follow `after`; with `ids`, only these.
   *
   * @throws the signal's reason
   */
  async list(query: DatasetListQuery): Promise<DatasetSummary[]> {
    const { catalog } = this.#dependencies;
    const { status, limit = Number.POSITIVE_INFINITY, signal, ...filter } = query;
    // Status depends on time and is not a column, so it is compared here, and a page may have none that match.
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
    return this.#summaryOf(await this.#findDataset(key));
  }

  /** The state that a view would have now, without reading files. @throws ServiceError `dataset_not_found` */
  async state(key: DatasetKey): Promise<string | undefined> {
    const { now, rules } = this.#dependencies;
    return viewStateOf({ dataset: await this.#findDataset(key), at: now() }, rules);
  }

  /** @throws ServiceError `dataset_not_found` */
  async view(key: DatasetKey, scope: DatasetScope = WHOLE_ACCOUNT): Promise<DatasetView> {
    const found = await this.#dependencies.catalog.contents(key);
    if (found === undefined) throw datasetNotFound(key.id);
    return datasetViewOf(found, scope, this.#dependencies);
  }

  /** Reads those of the named files that are stored and without a problem, by name. */
  async filesNamed(datasetId: string, filenames: readonly string[]): Promise<StoredFile[]> {
    const stored = await this.#dependencies.catalog.storedFiles({ datasetId, filenames });
    return storedFilesIn(stored.filter(({ upload }) => upload.problem === undefined));
  }

  /**
   * Changes the name and the role of a dataset.
   *
   * @throws ServiceError `dataset_not_found`, `invalid_name`, `name_taken`; `dataset_linked` if a link depends on the role
   */
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

  /** Deletes a dataset. @throws ServiceError `dataset_not_found`; `dataset_linked` if others link to it */
  async remove(key: DatasetKey, { boundIds }: Pick<DatasetScope, 'boundIds'> = WHOLE_ACCOUNT): Promise<void> {
    const { catalog, now } = this.#dependencies;
    if (!(await catalog.deleteDataset({ ...key, boundIds }, now()))) throw datasetNotFound(key.id);
  }

  #summaryOf(dataset: Dataset): DatasetSummary {
    return { dataset, status: datasetStatusOf(dataset, this.#dependencies.now(), this.#dependencies.rules) };
  }

  async #findDataset(key: DatasetKey): Promise<Dataset> {
    const dataset = await this.#dependencies.catalog.dataset(key);
    if (dataset === undefined) throw datasetNotFound(key.id);
    return dataset;
  }
}

/** The same message for a dataset that never existed, was deleted, or belongs to another account. */
export function datasetNotFound(id: string): ServiceError {
  return new ServiceError('dataset_not_found', `Dataset ${id} does not exist.`);
}

export function fileNotFound(filename: string): ServiceError {
  return new ServiceError('file_not_found', `The dataset has no file ${JSON.stringify(filename)}.`);
}
