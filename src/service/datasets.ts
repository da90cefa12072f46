import { randomBytes } from 'node:crypto';
import {
  areInterrupted,
  type Dataset,
  type DatasetFile,
  isStored,
  type LinkSlot,
  liveUntil,
  type Micros,
  type PendingFile,
  type ReceivedFile,
  type Status,
  statusOf,
  type StatusRules,
  type StoredFile,
} from '../dataset/dataset.js';
import { digestOf, digestWithLinks } from '../dataset/digest.js';
import { type FieldProblem, ServiceError } from '../dataset/errors.js';
import { type Findings, findingsOf } from '../dataset/findings.js';
import { byFilename, parseDatasetName } from '../dataset/names.js';
import { datasetStatusOf, type LinkView, linkViewsOf } from '../dataset/pairs/links.js';
import { LINK_SLOTS, slotText } from '../dataset/pairs/roles.js';
import type { Catalog, DatasetChanges } from '../storage/catalog/catalog.js';
import type { DatasetContents, LinkingDataset, NewLink } from '../storage/catalog/links.js';
import type { DatasetFilter, DatasetKeyOfAccount, DatasetRecord } from '../storage/catalog/rows.js';
import type { ServiceDependencies } from './dependencies.js';

const PAGE_DATASETS = 500;

/** A dataset of another account counts as not found. */
export type DatasetKey = DatasetKeyOfAccount;

interface DatasetListQuery extends DatasetFilter {
  readonly accountId: string;
  readonly status?: Status | undefined;
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

  /**
   * Replaces all links. A slot without the id or name of a dataset has none.
   *
   * @throws ServiceError `dataset_not_found`, `invalid_field`, `wrong_role`
   */
  async replaceLinks(
    key: DatasetKey,
    wanted: Readonly<Partial<Record<LinkSlot, string | null | undefined>>>,
    { boundIds }: Pick<DatasetScope, 'boundIds'>,
  ): Promise<void> {
    const { catalog, now } = this.#dependencies;
    await findRecord(catalog, key);
    const links: NewLink[] = [];
    for (const slot of LINK_SLOTS) {
      const nameOrId = wanted[slot] ?? undefined;
      if (nameOrId === undefined) continue;
      const found = await this.#find(key.accountId, nameOrId);
      if (found === undefined || (boundIds !== null && !boundIds.includes(found.id)))
        throw linkedNotFound(slot, nameOrId);
      links.push({ slot, linkedId: found.id });
    }
    const problems = linkProblemsOf(key.id, links);
    if (problems.length > 0) {
      const sentences = problems.map(({ path, message }) => `"${path}" ${message}.`);
      throw new ServiceError('invalid_field', `The links are not valid: ${sentences.join(' ')}`, { detail: problems });
    }
    if (!(await catalog.links.replace(key, { links, now: now() }))) throw datasetNotFound(key.id);
  }

  /** An id wins over a name. */
  async #find(accountId: string, nameOrId: string): Promise<DatasetRecord | undefined> {
    const { catalog } = this.#dependencies;
    const byId = await catalog.record({ accountId, id: nameOrId });
    if (byId !== undefined) return byId;
    return (await catalog.records({ accountId, name: nameOrId.trim().normalize('NFC'), limit: 1 }))[0];
  }

  #summaryOf(dataset: Dataset): DatasetSummary {
    return { dataset, status: datasetStatusOf(dataset, this.#dependencies.now(), this.#dependencies.rules) };
  }
}

function linkProblemsOf(id: string, links: readonly NewLink[]): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const slots = new Set(links.map(({ slot }) => slot));
  const seen = new Map<string, LinkSlot>();
  for (const { slot, linkedId } of links) {
    const other = seen.get(linkedId);
    if (linkedId === id) problems.push({ path: slot, message: 'is the dataset itself' });
    if (other !== undefined) problems.push({ path: slot, message: `is the same dataset as ${slotText(other)}` });
    seen.set(linkedId, slot);
  }
  for (const [slot, needed] of [
    ['control_2', 'control_1'],
    ['control_3', 'control_2'],
  ] as const) {
    if (slots.has(slot) && !slots.has(needed)) problems.push({ path: slot, message: `needs a ${slotText(needed)}` });
  }
  return problems;
}

function linkedNotFound(slot: LinkSlot, nameOrId: string): ServiceError {
  const message = `The ${slotText(slot)} does not exist: there is no dataset ${JSON.stringify(nameOrId)}. Create it with the role ${slot === 'mask' ? 'mask' : 'control'} first.`;
  return new ServiceError('dataset_not_found', message);
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

/** The most training datasets that a view of a control or mask lists. */
const MAX_LINKED_FROM = 100;

/** What a request may learn of other datasets. */
export interface DatasetScope {
  /** The datasets that an answer may name because they link to this one; null: all of the account. */
  readonly boundIds: readonly string[] | null;
  /** A share learns nothing of linked datasets. */
  readonly isShare: boolean;
}

export const WHOLE_ACCOUNT: DatasetScope = { boundIds: null, isShare: false };

/** A dataset and its status at one moment. */
export interface DatasetSummary {
  readonly dataset: Dataset;
  readonly status: Status;
}

/** A dataset with its files at one moment. All lists are by name. */
export interface DatasetView extends DatasetSummary {
  /** Stored files without a problem. */
  readonly files: readonly StoredFile[];
  /** Stored files that a recheck found damaged. */
  readonly damagedFiles: readonly StoredFile[];
  readonly findings: Findings;
  /** Uploads that have not expired. */
  readonly pendingUploads: readonly PendingFile[];
  /** Whether no client seems to send the pending uploads. */
  readonly areUploadsInterrupted: boolean;
  /** Files that are still being checked. */
  readonly receivedFiles: readonly ReceivedFile[];
  /** Identifies the files with the linked datasets; only if READY. */
  readonly digest: string | undefined;
  /** Identifies the own files; only of a READY dataset with links. */
  readonly filesDigest: string | undefined;
  /** In the order of the slots; none for a share. */
  readonly links: readonly LinkView[];
  /** Whether this view leaves out its links. */
  readonly hidesLinks: boolean;
  /** The training datasets that link to it, at most `MAX_LINKED_FROM`. */
  readonly linkedFrom: readonly LinkingDataset[];
  /** Views of one dataset and scope with the same state are equal; `undefined` if it may change without a trace. */
  readonly state: string | undefined;
}

export async function datasetViewOf(
  { dataset, files, pairs }: DatasetContents,
  { boundIds, isShare }: DatasetScope,
  { catalog, rules, now }: Pick<ServiceDependencies, 'catalog' | 'rules' | 'now'>,
): Promise<DatasetView> {
  const at = now();
  const links = linkViewsOf(dataset, pairs, { at, rules });
  const status = datasetStatusOf(dataset, at, rules);
  const allStored = storedFilesIn(files);
  const stored = allStored.filter(({ upload }) => upload.problem === undefined);
  // By name, so that the findings do not depend on the order of rows.
  const others = files.filter(({ upload }) => upload.state !== 'stored');
  const problems = isShare ? [] : links.flatMap((link) => link.problems);
  const filesDigest = status === 'READY' ? digestOf(stored) : undefined;
  const linkDigests = links.map(({ slot, digest = '' }) => ({ slot, digest }));
  const pendingUploads = files.filter((file): file is PendingFile => isLivePending(file, at)).sort(byFilename);
  const linkedFrom = async () =>
    dataset.isLinkedTo ? catalog.links.linkingTo(dataset.id, { among: boundIds, limit: MAX_LINKED_FROM }) : [];
  return {
    dataset,
    status,
    files: stored,
    damagedFiles: stored.length === allStored.length ? [] : allStored.filter(({ upload }) => upload.problem),
    findings: findingsOf([...allStored, ...others], at, { role: dataset.role, problems }),
    pendingUploads,
    areUploadsInterrupted: areInterrupted(pendingUploads, dataset.counts.lastActivity, at),
    receivedFiles: files.filter((file): file is ReceivedFile => file.upload.state === 'received').sort(byFilename),
    digest: filesDigest && digestWithLinks(filesDigest, linkDigests),
    filesDigest: dataset.links.length === 0 ? undefined : filesDigest,
    links: isShare ? [] : links,
    hidesLinks: isShare && links.length > 0,
    linkedFrom: await linkedFrom(),
    state: viewStateOf({ dataset, at }, rules),
  };
}

/** The `state` of a view, computed without files. */
function viewStateOf({ dataset, at }: { dataset: Dataset; at: Micros }, rules: StatusRules): string | undefined {
  // Uploads expire as time passes, and linking datasets change without a change of this one.
  const isPending = [dataset, ...dataset.links.map((link) => link.dataset)].some(({ counts }) => counts.pending > 0);
  if (isPending || dataset.isLinkedTo) return undefined;
  const linked = dataset.links.map(({ slot, dataset: { id, version, counts } }) => {
    return [slot, id, version, statusOf(counts, at, rules)];
  });
  return JSON.stringify([datasetStatusOf(dataset, at, rules), dataset.version, linked]);
}

export function storedFilesIn(files: readonly DatasetFile[]): StoredFile[] {
  return files.filter(isStored).sort(byFilename);
}

function isLivePending({ upload }: DatasetFile, now: Micros): boolean {
  return upload.state === 'pending' && liveUntil(upload) > now;
}
