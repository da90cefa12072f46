import { MAX_CAPTION_TEXT_BYTES } from '../api/limits.js';
import type { Author, Dataset, Status, StoredFile } from '../dataset/dataset.js';
import { digestWithLinks } from '../dataset/digest.js';
import { ServiceError } from '../dataset/errors.js';
import {
  differencesBetween,
  type FileDifference,
  filesIn,
  filesStateOf,
  type Revision,
  revisionsTogether,
} from '../dataset/history/revisions.js';
import type { Manifest, ManifestLink, WantedState } from './manifest.js';
import type { Catalog } from '../storage/catalog/catalog.js';
import {
  type DatasetKey,
  datasetNotFound,
  type DatasetScope,
  type DatasetView,
  datasetViewOf,
  findDataset,
  findRecord,
  WHOLE_ACCOUNT,
} from './datasets.js';
import type { ServiceDependencies } from './dependencies.js';

export class HistoryService {
  readonly #dependencies: Pick<ServiceDependencies, 'catalog' | 'rules' | 'now'>;
  readonly #catalog: Catalog;

  constructor(dependencies: Pick<ServiceDependencies, 'catalog' | 'rules' | 'now'>) {
    this.#dependencies = dependencies;
    this.#catalog = dependencies.catalog;
  }

  /** Kept revisions before `before`, newest first. @throws ServiceError `dataset_not_found` */
  async page(
    key: DatasetKey,
    { before, limit }: { before?: number | undefined; limit: number },
  ): Promise<{ revisions: RevisionView[]; isLast: boolean }> {
    const dataset = await findRecord(this.#catalog, key);
    const found = await this.#catalog.revisions.page(key.id, { before, limit: limit + 1 });
    const revisions = await revisionViews(this.#catalog, dataset, found.slice(0, limit));
    return { revisions, isLast: found.length <= limit };
  }

  /** @throws ServiceError `dataset_not_found`, `revision_not_found` */
  async revision(key: DatasetKey, number: number): Promise<RevisionView> {
    const dataset = await findRecord(this.#catalog, key);
    const revision = await findRevision(this.#catalog, key.id, number);
    const [view] = await revisionViews(this.#catalog, dataset, [revision]);
    if (view === undefined) throw await revisionNotFound(this.#catalog, key.id, number);
    return view;
  }

  /** @throws ServiceError `dataset_not_found`, `revision_not_found` */
  async difference(
    key: DatasetKey,
    { from, to, after, limit }: { from: number; to: number; after: string; limit: number },
  ): Promise<RevisionDifference> {
    await findRecord(this.#catalog, key);
    const range = { datasetId: key.id, from: Math.min(from, to), to: Math.max(from, to) };
    const read = () => this.#catalog.revisions.versions(range);
    const { kept, files: versions } = await this.#catalog.readMany(key.accountId, read);
    const missing = [from, to].find((number) => number !== 0 && !kept.has(number));
    if (missing !== undefined) throw await revisionNotFound(this.#catalog, key.id, missing);
    const all = differencesBetween(filesIn(versions, from), filesIn(versions, to));
    const following = all.filter(({ filename }) => filename > after);
    const files = pageOf(following, limit);
    return {
      total: {
        added: all.filter((file) => file.from === undefined).length,
        removed: all.filter((file) => file.to === undefined).length,
        changed: all.filter((file) => file.from !== undefined && file.to !== undefined).length,
      },
      files,
      isLast: files.length === following.length,
    };
  }

  /**
   * The manifest of the latest state, of a revision, or of the newest READY state with a digest. The latest state is read as one
   * snapshot with its linked datasets, also by the number of its revision.
   *
   * @param options.scope for the latest state
   * @throws ServiceError `dataset_not_found`, `revision_not_found`; the signal's reason
   */
  async manifest(
    key: DatasetKey,
    { revision, digest }: WantedState,
    { scope = WHOLE_ACCOUNT, signal }: { scope?: DatasetScope; signal: AbortSignal },
  ): Promise<StoredManifest> {
    if (revision !== undefined) {
      const dataset = await findDataset(this.#catalog, key);
      if (revision !== dataset.revision) return this.#at(dataset, revision, signal);
    }
    const contents = await this.#catalog.contents(key);
    if (contents === undefined) throw datasetNotFound(key.id);
    const latest = manifestOf(await datasetViewOf(contents, scope, this.#dependencies));
    // While the latest revision is changed, or waits for an upload, its files are as they were recorded.
    if (revision !== undefined && (revision !== latest.revision || latest.status !== 'READY')) {
      return this.#at(contents.dataset, revision, signal);
    }
    if (digest === undefined || digest === latest.digest) return latest;
    return this.#withDigest(contents.dataset, digest, signal);
  }

  /** A revision with the READY states of linked datasets of its time. @throws as `manifest` */
  async #at(dataset: Dataset, number: number, signal: AbortSignal): Promise<StoredManifest> {
    const own = await this.#ownAt(dataset, number);
    if (own.digest === undefined) return own;
    for await (const state of this.#statesTogether(dataset, signal)) {
      if (state.number === number) return withLinks(own, state);
    }
    return own;
  }

  /** A revision without the states of linked datasets. @throws ServiceError `dataset_not_found`, `revision_not_found` */
  async ownManifest(key: DatasetKey, number: number): Promise<StoredManifest> {
    return this.#ownAt(await findDataset(this.#catalog, key), number);
  }

  /** @throws ServiceError `revision_not_found` */
  async #ownAt({ id, name, accountId, role, groups }: Dataset, number: number): Promise<StoredManifest> {
    const read = () => this.#catalog.revisions.versions({ datasetId: id, from: number, to: number });
    const { kept, files } = await this.#catalog.readMany(accountId, read);
    if (!kept.has(number)) throw await revisionNotFound(this.#catalog, id, number);
    const { digest, readyAs } = filesStateOf(files);
    const isReady = readyAs.includes(role);
    return {
      ...{ id, name, role, groups },
      revision: number,
      status: isReady ? 'READY' : 'FAILED',
      digest: isReady ? digest : undefined,
      files: filesIn(files, number).filter(({ upload }) => upload.problem === undefined),
    };
  }

  /** The newest READY revision with this digest, its own or with linked datasets. @throws as `manifest` */
  async #withDigest(dataset: Dataset, digest: string, signal: AbortSignal): Promise<StoredManifest> {
    const kept = await this.#catalog.revisions.page(dataset.id);
    const isUnknown = ({ digest: known }: Revision) => known === null;
    for (const revision of [...kept.filter((each) => !isUnknown(each)), ...kept.filter(isUnknown)]) {
      const [view] = await revisionViews(this.#catalog, dataset, [revision], signal);
      if (view?.isReady && view.digest === digest) return this.#ownAt(dataset, view.number);
    }
    for await (const state of this.#statesTogether(dataset, signal)) {
      if (state.digest === digest) return withLinks(await this.#ownAt(dataset, state.number), state);
    }
    const [latest] = await revisionViews(this.#catalog, dataset, kept.slice(0, 1));
    const now = latest?.isReady ? ` The digest of its files now is ${latest.digest}.` : '';
    const message = `No kept state of "${dataset.name}" that is READY has the digest ${digest}.${now} ${await keptSentence(this.#catalog, dataset.id)}`;
    throw new ServiceError('revision_not_found', message);
  }

  /**
   * Yields, newest first, READY revisions of a dataset and its linked ones that were the latest at one time; none without links.
   *
   * @throws the signal's reason
   */
  async *#statesTogether({ links, ...own }: Dataset, signal: AbortSignal): AsyncGenerator<StateTogether> {
    if (links.length === 0) return;
    const histories: RevisionView[][] = [];
    for (const each of [own, ...links.map((link) => link.dataset)]) {
      const revisions = await this.#catalog.revisions.page(each.id);
      histories.push(await revisionViews(this.#catalog, each, revisions, signal));
    }
    for (const [target, ...linked] of revisionsTogether(histories)) {
      if (!target?.isReady || !linked.every(({ isReady }) => isReady)) continue;
      const states = links.map(({ slot, dataset: { id, name } }, i) => {
        const { number: revision, digest } = linked[i]!;
        return { slot, id, name, revision, digest };
      });
      yield { number: target.number, digest: digestWithLinks(target.digest, states), links: states };
    }
  }

  /**
   * Restores the stored files of a revision. Uploads in progress stay.
   *
   * @returns the new revision; the latest one if the files are the same
   * @throws ServiceError `dataset_not_found`, `revision_not_found`, `quota_exceeded`
   */
  async restore(
    key: DatasetKey,
    number: number,
    { author }: { author: Author },
  ): Promise<{ isRestored: boolean; revision: RevisionView }> {
    await findRecord(this.#catalog, key);
    const changed = await this.#catalog.restore({ datasetId: key.id, number, author, now: this.#dependencies.now() });
    if (changed === undefined) {
      await findRecord(this.#catalog, key);
      throw await revisionNotFound(this.#catalog, key.id, number);
    }
    return { isRestored: changed.recordedIn !== undefined, revision: await this.revision(key, changed.revision) };
  }

  /**
   * Reverses the changes of a revision. Files that were changed again since are kept.
   *
   * @returns the new revision, if there is one, and the names of both kinds of files
   * @throws ServiceError `dataset_not_found`, `quota_exceeded`; `revision_not_found` also if the revision before is not kept
   */
  async undo(
    key: DatasetKey,
    number: number,
    { author }: { author: Author },
  ): Promise<{ revision: RevisionView | undefined; undone: string[]; kept: string[] }> {
    await findRecord(this.#catalog, key);
    const outcome = await this.#catalog.undo({ datasetId: key.id, number, author, now: this.#dependencies.now() });
    if (outcome === undefined) {
      await this.revision(key, number);
      const message = `Revision ${number} can't be undone, because the revision before it is no longer kept.`;
      throw new ServiceError('revision_not_found', `${message} ${await keptSentence(this.#catalog, key.id)}`);
    }
    const { recordedIn } = outcome.dataset;
    const revision = recordedIn === undefined ? undefined : await this.revision(key, recordedIn);
    return { revision, undone: outcome.undone, kept: outcome.kept };
  }

  /** Ends the pin with `null`. @throws ServiceError `dataset_not_found`, `revision_not_found` */
  async setPin(
    key: DatasetKey,
    number: number,
    pin: { by: string; note: string | null } | null,
  ): Promise<RevisionView> {
    // Read before: retention may delete an unpinned revision.
    const view = await this.revision(key, number);
    const changed = pin && { at: this.#dependencies.now(), ...pin };
    const isSet = await this.#catalog.revisions.setPin(key.id, number, changed);
    if (!isSet) throw await revisionNotFound(this.#catalog, key.id, number);
    return { ...view, pin: changed };
  }
}

export interface RevisionView extends Revision {
  readonly digest: string;
  readonly isReady: boolean;
  readonly isLatest: boolean;
}

/** A manifest of the catalog. */
export interface StoredManifest extends Manifest {
  readonly status: Status;
  readonly files: readonly StoredFile[];
}

function manifestOf({ dataset, links, status, digest, filesDigest, files }: DatasetView): StoredManifest {
  const { id, name, role, groups, revision } = dataset;
  const own = { id, name, role, groups, revision, status, digest, filesDigest, files };
  const states = links.map((link) => {
    const { id: linkedId, name: linkedName, revision: latest } = link.dataset;
    return { slot: link.slot, id: linkedId, name: linkedName, revision: latest, digest: link.digest };
  });
  return { ...own, links: states };
}

/** A state of a dataset with its linked datasets. */
interface StateTogether {
  /** The revision of the dataset itself. */
  readonly number: number;
  readonly digest: string;
  readonly links: readonly ManifestLink[];
}

function withLinks(own: StoredManifest, { digest, links }: StateTogether): StoredManifest {
  // A file may be damaged meanwhile.
  return own.digest === undefined ? own : { ...own, digest, filesDigest: own.digest, links };
}

/** Computes and stores missing digests, and leaves out revisions that are no longer kept. @throws the signal's reason */
export async function revisionViews(
  catalog: Catalog,
  dataset: Pick<Dataset, 'id' | 'accountId' | 'revision'>,
  revisions: readonly Revision[],
  signal?: AbortSignal,
): Promise<RevisionView[]> {
  const views: RevisionView[] = [];
  for (const revision of revisions) {
    signal?.throwIfAborted();
    const compute = () => catalog.revisions.computeDigest(dataset.id, revision.number);
    const known = revision.digest === null ? await catalog.readMany(dataset.accountId, compute) : revision;
    if (known === undefined) continue;
    const { number, digest, isReady } = known;
    if (digest === null || isReady === null) throw new Error(`Revision ${number} has no digest.`);
    views.push({ ...known, digest, isReady, isLatest: number === dataset.revision });
  }
  return views;
}

/** A client holds the captions of a page in memory. */
const MAX_TEXT_BYTES_PER_PAGE = 8 * 1024 * 1024;
interface RevisionDifference {
  readonly total: { readonly added: number; readonly removed: number; readonly changed: number };
  /** By name. */
  readonly files: readonly FileDifference[];
  readonly isLast: boolean;
}

/** At most `limit` differences, and at least one. */
function pageOf(differences: readonly FileDifference[], limit: number): FileDifference[] {
  const page: FileDifference[] = [];
  let bytes = 0;
  for (const difference of differences) {
    bytes += textBytesOf(difference);
    if (page.length === limit || (page.length > 0 && bytes > MAX_TEXT_BYTES_PER_PAGE)) break;
    page.push(difference);
  }
  return page;
}

/** The bytes of the captions whose texts an answer has. */
export function textBytesOf({ from, to }: FileDifference): number {
  let bytes = 0;
  for (const file of [from, to]) {
    if (file?.kind === 'caption' && file.upload.sizeBytes <= MAX_CAPTION_TEXT_BYTES) bytes += file.upload.sizeBytes;
  }
  return bytes;
}

const MAX_LISTED_NUMBERS = 2000;

/** @throws ServiceError `revision_not_found` */
export async function findRevision(catalog: Catalog, datasetId: string, number: number): Promise<Revision> {
  const revision = await catalog.revisions.find(datasetId, number);
  if (revision === undefined) throw await revisionNotFound(catalog, datasetId, number);
  return revision;
}

export async function revisionNotFound(catalog: Catalog, datasetId: string, number: number): Promise<ServiceError> {
  const kept = await keptSentence(catalog, datasetId);
  return new ServiceError('revision_not_found', `Revision ${number} does not exist or is no longer kept. ${kept}`);
}

async function keptSentence(catalog: Catalog, datasetId: string): Promise<string> {
  const revisions = await catalog.revisions.page(datasetId, { limit: MAX_LISTED_NUMBERS });
  const numbers = revisions.map((revision) => revision.number);
  if (numbers.length === 0) return 'The dataset has no revisions, because no file was ever stored.';
  const list = rangesOf(numbers.toReversed()).join(', ');
  const older = numbers.length === MAX_LISTED_NUMBERS ? 'among the newest ' : '';
  return `Kept are ${older}${list}. Revisions are kept for some time and while they are among the latest; to keep one, pin it.`;
}

/** Shortens ascending numbers, as in `3`, `9 to 28`. */
function rangesOf(numbers: readonly number[]): string[] {
  const ranges: { first: number; last: number }[] = [];
  for (const number of numbers) {
    const range = ranges.at(-1);
    if (range !== undefined && range.last === number - 1) range.last = number;
    else ranges.push({ first: number, last: number });
  }
  return ranges.map(({ first, last }) => (first === last ? String(first) : `${first} to ${last}`));
}
