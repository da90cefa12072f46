import { randomBytes } from 'node:crypto';
import {
  type Author,
  areInterrupted,
  type Dataset,
  type DatasetFile,
  liveUntil,
  type Micros,
  type PendingFile,
  type ReceivedFile,
  type Role,
  type Status,
  type StoredFile,
  type WriteCondition,
} from '../dataset/dataset.js';
import { digestOf, digestWithLinks } from '../dataset/digest.js';
import { ServiceError } from '../dataset/errors.js';
import { type Findings, findingSteps, withFindings } from '../dataset/findings.js';
import { parseDatasetName } from '../dataset/names.js';
import { datasetStatusOf } from '../dataset/pairs/linked-status.js';
import type { LinkView } from '../dataset/pairs/links.js';
import { remove, type StemGroup, withdrawUploads } from '../dataset/upload-transitions.js';
import { finishInPieces, type Pieces } from '../pieces.js';
import type { ChangedDataset } from '../storage/catalog/file-changes.js';
import type { DatasetChanges } from '../storage/catalog/dataset-changes.js';
import type { LinkingDataset } from '../storage/catalog/pairs/links.js';
import { inOnePiece, type ServiceDependencies } from './dependencies.js';
import { JudgedContentsReader } from './pairs/judged-contents.js';

/** Of the training datasets that link to a control or mask. */
const MAX_LINKED_FROM = 100;

/** Datasets of a list that are read at once. SQLite is read on the thread that answers requests. */
const PAGE_DATASETS = 500;

/** A dataset id and the account of the request. A dataset of another account counts as not found. */
export interface DatasetKey {
  readonly accountId: string;
  readonly id: string;
}

/** What a request may learn of the account's other datasets. */
export interface DatasetScope {
  /** The datasets that an answer or error may name because they link to this one; null: all of the account. */
  readonly boundIds: readonly string[] | null;
  /** Whether a share reads: it learns nothing of the datasets that this one is linked to. */
  readonly isShare: boolean;
}

export const WHOLE_ACCOUNT: DatasetScope = { boundIds: null, isShare: false };

/** A dataset and its status at one moment, without its files. */
export interface DatasetSummary {
  readonly dataset: Dataset;
  readonly status: Status;
}

/** A dataset at one moment, with its files and findings. */
export interface DatasetView extends DatasetSummary {
  /** Stored files without a problem, by name. */
  readonly files: readonly StoredFile[];
  /** Stored files that a recheck found damaged, by name. */
  readonly damagedFiles: readonly StoredFile[];
  readonly findings: Findings;
  /** Uploads that are pending and not expired, by name. */
  readonly pendingUploads: readonly PendingFile[];
  /** Whether no client seems to send them. */
  readonly areUploadsInterrupted: boolean;
  /** Files that are still being checked, by name. */
  readonly receivedFiles: readonly ReceivedFile[];
  /** Identifies exactly this set of files, and those of the linked datasets; only of a READY dataset. */
  readonly digest: string | undefined;
  /** Identifies the own files of a READY dataset with links. */
  readonly filesDigest: string | undefined;
  /** Its controls and its mask, in the order of the slots; none for a share. */
  readonly links: readonly LinkView[];
  /** Whether it has links that are not in this view, neither in `links` nor in the findings. */
  readonly hidesLinks: boolean;
  /** The training datasets that link to it, by name, at most `MAX_LINKED_FROM`. */
  readonly linkedFrom: readonly LinkingDataset[];
}

interface NewDatasetRequest {
  readonly accountId: string;
  readonly name?: string | undefined;
  readonly role?: Role | undefined;
}

/** Creates, lists, reads and deletes datasets, and deletes files in them. */
export class DatasetService {
  readonly #dependencies: ServiceDependencies;
  readonly #judgedContents: JudgedContentsReader;

  constructor(dependencies: ServiceDependencies) {
    this.#dependencies = dependencies;
    this.#judgedContents = new JudgedContentsReader(dependencies);
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

  /** Lists an account's datasets, newest first: all, or up to `limit` that follow `after`; with `ids`, only these. */
  async list(query: {
    accountId: string;
    ids?: readonly string[] | undefined;
    name?: string | undefined;
    role?: Role | undefined;
    status?: Status | undefined;
    after?: { createdAt: number; id: string } | undefined;
    limit?: number | undefined;
  }): Promise<DatasetSummary[]> {
    const { catalog, takeTurn } = this.#dependencies;
    const { status, limit = Number.POSITIVE_INFINITY, ...filter } = query;
    // Status depends on time and is not a column, so it is compared here, and a page may have none that match.
    const pageSize = status === undefined ? Math.min(limit, PAGE_DATASETS) : PAGE_DATASETS;
    const found: DatasetSummary[] = [];
    for (let { after } = filter; ; await takeTurn?.(filter.accountId)) {
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

  /** @throws ServiceError `dataset_not_found` */
  view(key: DatasetKey, scope: DatasetScope = WHOLE_ACCOUNT): Promise<DatasetView> {
    return this.viewed(key, scope, async (view) => view);
  }

  /** Makes something of a view. Of views with many files, there is one at a time until then. @throws as `view` */
  viewed<T>(key: DatasetKey, scope: DatasetScope, use: (view: DatasetView, pieces: Pieces) => Promise<T>): Promise<T> {
    const { inPieces = inOnePiece } = this.#dependencies;
    return inPieces(key.accountId, async (pieces) => use(await this.#view(key, scope, pieces), pieces));
  }

  async #view(key: DatasetKey, { boundIds, isShare }: DatasetScope, pieces: Pieces): Promise<DatasetView> {
    const { rules, pollPresignedUploads } = this.#dependencies;
    const found = await this.#judgedContents.read(key, pieces);
    if (found === undefined) throw datasetNotFound(key.id);
    const { dataset, files, links, at } = found;
    for (const { id, counts } of [dataset, ...dataset.links.map((link) => link.dataset)]) {
      if (counts.pending > 0) pollPresignedUploads?.(id);
    }
    const status = datasetStatusOf(dataset, at, rules);
    const allStored = storedFilesIn(files);
    const stored = allStored.filter(({ upload }) => upload.problem === undefined);
    // By name, so that the findings do not depend on the order of the rows.
    const others = files.filter(({ upload }) => upload.state !== 'stored');
    const own = await finishInPieces(findingSteps([...allStored, ...others], at, dataset.role), pieces);
    await pieces.pause();
    const filesDigest = status === 'READY' ? digestOf(stored) : undefined;
    const linkDigests = links.views.map(({ slot, digest = '' }) => ({ slot, digest }));
    const pendingUploads = files.filter((file): file is PendingFile => isLivePending(file, at)).sort(byName);
    return {
      dataset,
      status,
      files: stored,
      damagedFiles: stored.length === allStored.length ? [] : allStored.filter(({ upload }) => upload.problem),
      findings: isShare ? own : withFindings(own, links.problems),
      pendingUploads,
      areUploadsInterrupted: areInterrupted(pendingUploads, dataset.counts.lastActivity, at),
      receivedFiles: files.filter((file): file is ReceivedFile => file.upload.state === 'received').sort(byName),
      digest: filesDigest && digestWithLinks(filesDigest, linkDigests),
      filesDigest: dataset.links.length === 0 ? undefined : filesDigest,
      links: isShare ? [] : links.views,
      hidesLinks: isShare && links.views.length > 0,
      linkedFrom: dataset.isLinkedTo ? await this.#linkedFrom(key.id, boundIds) : [],
    };
  }

  #linkedFrom(id: string, boundIds: readonly string[] | null): Promise<LinkingDataset[]> {
    const { links } = this.#dependencies.catalog;
    return boundIds === null ? links.linkingTo(id, MAX_LINKED_FROM) : links.linkingAmong(boundIds, id);
  }

  /** Reads those of the named files that are stored and without a problem, by name. */
  async filesNamed(datasetId: string, filenames: readonly string[]): Promise<StoredFile[]> {
    const stored = await this.#dependencies.catalog.storedFiles({ datasetId, filenames });
    return stored.filter(({ upload }) => upload.problem === undefined).sort(byName);
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
    const { catalog, now, wakeRechecks } = this.#dependencies;
    const changes = { name: name === undefined ? undefined : parseDatasetName(name), role };
    if (!(await catalog.changeDataset({ ...key, boundIds }, changes, now()))) throw datasetNotFound(key.id);
    // The files may have to be inspected in the new role.
    if (role !== undefined) wakeRechecks?.();
    return this.summary(key);
  }

  /** @throws ServiceError `dataset_not_found`; `dataset_linked` if others link to it */
  async remove(key: DatasetKey, { boundIds }: Pick<DatasetScope, 'boundIds'> = WHOLE_ACCOUNT): Promise<void> {
    const { catalog, now } = this.#dependencies;
    if (!(await catalog.deleteDataset({ ...key, boundIds }, now()))) throw datasetNotFound(key.id);
  }

  /**
   * Deletes a file, with any pending or rejected upload of its name.
   *
   * @returns the revision without the file; `undefined` if none was stored
   * @throws ServiceError `dataset_not_found`, `file_not_found`; PreconditionFailed
   */
  async removeFile(
    key: DatasetKey,
    filename: string,
    { author, condition }: { author: Author; condition?: WriteCondition | undefined },
  ): Promise<number | undefined> {
    const removed = await this.#change(key, filename, (group) => remove(group, filename, condition), author);
    if (removed === undefined) throw fileNotFound(filename);
    return removed.recordedIn;
  }

  /**
   * Removes pending, received and rejected uploads of a name. A stored file of that name stays.
   *
   * @throws ServiceError `dataset_not_found`, `file_not_found`
   */
  async withdrawUpload(key: DatasetKey, filename: string): Promise<void> {
    if (await this.#change(key, filename, (group) => withdrawUploads(group, filename))) return;
    const message = `The dataset has no pending or rejected upload of ${JSON.stringify(filename)}.`;
    throw new ServiceError('file_not_found', message);
  }

  /** @returns `undefined` if nothing changed */
  async #change(
    key: DatasetKey,
    filename: string,
    transition: (group: StemGroup) => StemGroup | undefined,
    author?: Author,
  ): Promise<ChangedDataset | undefined> {
    await this.#findDataset(key);
    const { catalog, now } = this.#dependencies;
    const change = { datasetId: key.id, filenames: [filename], now: now(), isActivity: true };
    return catalog.change({ ...change, ...(author && { author }) }, transition);
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

/** The stored files among `files`, by name. */
export function storedFilesIn(files: readonly DatasetFile[]): StoredFile[] {
  return files.filter((file): file is StoredFile => file.upload.state === 'stored').sort(byName);
}

function byName(a: DatasetFile, b: DatasetFile): number {
  return a.filename < b.filename ? -1 : 1;
}

function isLivePending({ upload }: DatasetFile, now: Micros): boolean {
  return upload.state === 'pending' && liveUntil(upload) > now;
}

/** The same message for a dataset that never existed, was deleted, or belongs to another account. */
export function datasetNotFound(id: string): ServiceError {
  return new ServiceError('dataset_not_found', `Dataset ${id} does not exist.`);
}

export function fileNotFound(filename: string): ServiceError {
  return new ServiceError('file_not_found', `The dataset has no file ${JSON.stringify(filename)}.`);
}
