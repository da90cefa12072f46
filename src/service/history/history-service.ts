import type { Author } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { type DatasetKey, type DatasetService, findDataset, findRecord } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import { findRevision, keptSentence, revisionNotFound } from '../find-revision.js';
import { type DifferenceQuery, differenceOfRevisions, type RevisionDifference } from './revision-difference.js';
import { manifestOf, type RevisionManifest, RevisionManifests, type RevisionView } from './revision-manifests.js';

export class HistoryService {
  readonly #dependencies: ServiceDependencies;
  readonly #datasets: DatasetService;
  readonly #manifests: RevisionManifests;

  constructor(dependencies: ServiceDependencies, datasets: DatasetService) {
    this.#dependencies = dependencies;
    this.#datasets = datasets;
    this.#manifests = new RevisionManifests(dependencies.catalog);
  }

  /** Kept revisions before `before`, newest first. @throws ServiceError `dataset_not_found` */
  async page(
    key: DatasetKey,
    { before, limit }: { before?: number | undefined; limit: number },
  ): Promise<{ revisions: RevisionView[]; isLast: boolean }> {
    const dataset = await findRecord(this.#dependencies.catalog, key);
    const found = await this.#dependencies.catalog.revisions.page(key.id, { before, limit: limit + 1 });
    return { revisions: await this.#manifests.viewsOf(dataset, found.slice(0, limit)), isLast: found.length <= limit };
  }

  /** @throws ServiceError `dataset_not_found`, `revision_not_found` */
  async revision(key: DatasetKey, number: number): Promise<RevisionView> {
    const dataset = await findRecord(this.#dependencies.catalog, key);
    const revision = await findRevision(this.#dependencies.catalog, key.id, number);
    const [view] = await this.#manifests.viewsOf(dataset, [revision]);
    if (view === undefined) throw await revisionNotFound(this.#dependencies.catalog, key.id, number);
    return view;
  }

  /** @throws ServiceError `dataset_not_found`, `revision_not_found` */
  async difference(key: DatasetKey, query: DifferenceQuery): Promise<RevisionDifference> {
    await findRecord(this.#dependencies.catalog, key);
    return differenceOfRevisions(this.#dependencies.catalog, key, query);
  }

  /** @throws ServiceError `dataset_not_found`, `revision_not_found`; the signal's reason */
  async manifest(key: DatasetKey, number: number, signal: AbortSignal): Promise<RevisionManifest> {
    return this.#manifests.manifest(await findDataset(this.#dependencies.catalog, key), number, signal);
  }

  /** A revision without the states of linked datasets. @throws ServiceError `dataset_not_found`, `revision_not_found` */
  async ownManifest(key: DatasetKey, number: number): Promise<RevisionManifest> {
    return this.#manifests.ownManifest(await findDataset(this.#dependencies.catalog, key), number);
  }

  /** The newest READY state with this digest. @throws ServiceError `dataset_not_found`, `revision_not_found`; the signal's reason */
  async manifestWithDigest(key: DatasetKey, digest: string, signal: AbortSignal): Promise<RevisionManifest> {
    const view = await this.#datasets.view(key);
    return view.digest === digest ? manifestOf(view) : this.#manifests.withDigest(view.dataset, digest, signal);
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
    await findRecord(this.#dependencies.catalog, key);
    const { catalog, now } = this.#dependencies;
    const changed = await catalog.restore({ datasetId: key.id, number, author, now: now() });
    if (changed === undefined) {
      await findRecord(this.#dependencies.catalog, key);
      throw await revisionNotFound(catalog, key.id, number);
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
    await findRecord(this.#dependencies.catalog, key);
    const { catalog, now } = this.#dependencies;
    const outcome = await catalog.undo({ datasetId: key.id, number, author, now: now() });
    if (outcome === undefined) {
      await this.revision(key, number);
      const message = `Revision ${number} can't be undone, because the revision before it is no longer kept.`;
      throw new ServiceError('revision_not_found', `${message} ${await keptSentence(catalog, key.id)}`);
    }
    const { dataset, undone, kept } = outcome;
    const { recordedIn } = dataset;
    const revision = recordedIn === undefined ? undefined : await this.revision(key, recordedIn);
    return { revision, undone, kept };
  }

  /** Ends the pin with `null`. @throws ServiceError `dataset_not_found`, `revision_not_found` */
  async setPin(
    key: DatasetKey,
    number: number,
    pin: { by: string; note: string | null } | null,
  ): Promise<RevisionView> {
    const { catalog, now } = this.#dependencies;
    // Read before: retention may delete an unpinned revision.
    const view = await this.revision(key, number);
    const changed = pin && { at: now(), ...pin };
    const isSet = await catalog.revisions.setPin(key.id, number, changed);
    if (!isSet) throw await revisionNotFound(catalog, key.id, number);
    return { ...view, pin: changed };
  }
}
