import type { Dataset, LinkSlot, Status, StoredFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { filesIn, stateOfRevision } from '../../dataset/history/revision-states.js';
import type { Revision } from '../../dataset/history/revisions.js';
import { type KnownRevision, type LinkedMoment, linkedMoments } from '../../dataset/pairs/linked-moments.js';
import type { Catalog } from '../../storage/catalog/catalog.js';
import type { DatasetView } from '../dataset-view.js';
import { keptSentence, revisionNotFound } from '../find-revision.js';
import { REVISIONS_PER_SEARCH, RevisionCompletion } from './revision-completion.js';

type Moment = LinkedMoment<KnownRevision>;

/** A revision whose state is known. */
export interface RevisionView extends Revision {
  readonly digest: string;
  readonly isReady: boolean;
  /** Whether its files are those that the dataset has now. */
  readonly isLatest: boolean;
}

/** The state of a linked dataset at the moment of a manifest. */
export interface ManifestLink {
  readonly slot: LinkSlot;
  readonly dataset: Dataset;
  readonly revision: number;
  /** Only if it is READY. */
  readonly digest: string | undefined;
}

/** The files of a revision, as those of a dataset. */
export interface RevisionManifest {
  readonly dataset: Dataset;
  readonly revision: number;
  readonly status: Status;
  /** Only if the revision is READY; with links, of all datasets. */
  readonly digest: string | undefined;
  /** Of its own files; only if it is READY and has links. */
  readonly filesDigest?: string | undefined;
  /** Without damaged ones, by name. */
  readonly files: readonly StoredFile[];
  /** Absent for an earlier revision if no READY states of the linked datasets are kept of its time. */
  readonly links?: readonly ManifestLink[];
}

interface MomentSearch {
  readonly isWanted: (moment: Moment) => boolean;
  /** @returns `undefined` to search on */
  readonly read: (moment: Moment) => Promise<RevisionManifest | undefined>;
}

/** The manifest of a dataset as it is now. */
export function manifestOf(view: DatasetView): RevisionManifest {
  const { dataset, status, digest, filesDigest, files, links } = view;
  return {
    ...{ dataset, status, digest, filesDigest, files },
    revision: dataset.revision,
    links: links.map((link) => ({
      slot: link.slot,
      dataset: link.dataset,
      revision: link.dataset.revision,
      digest: link.digest,
    })),
  };
}

/** Reads the files and digests of revisions. A digest is computed when it is first asked for, and stored. */
export class RevisionManifests {
  readonly #catalog: Catalog;
  readonly #completion: RevisionCompletion;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
    this.#completion = new RevisionCompletion(catalog);
  }

  /**
   * Reads the files of a revision, together with the last states that the linked datasets had while it was the latest.
   *
   * @throws ServiceError `revision_not_found`; the signal's reason
   */
  async manifest(dataset: Dataset, number: number, signal: AbortSignal): Promise<RevisionManifest> {
    if (await this.#mayHaveMoments(dataset, number)) {
      const found = await this.#atMoment(dataset, signal, {
        isWanted: ({ target }) => target.number === number,
        read: async (moment) => {
          const own = await this.ownManifest(dataset, number);
          return own.digest === undefined ? own : manifestAt(moment, own);
        },
      });
      if (found !== undefined) return found;
    }
    return this.ownManifest(dataset, number);
  }

  /** False without links, or if the revision is not READY: then not all revisions of several datasets need be read. */
  async #mayHaveMoments(dataset: Dataset, number: number): Promise<boolean> {
    if (dataset.links.length === 0) return false;
    const page = await this.#catalog.revisions.page(dataset.id, { before: number + 1, limit: 1 });
    const [own] = await this.viewsOf(dataset, page);
    return own?.number === number && own.isReady;
  }

  /**
   * Reads the newest kept revision with this digest that is READY; by the digest of a dataset with links, together with the
   * revisions of the linked datasets of that moment.
   *
   * @throws ServiceError `revision_not_found`; the signal's reason
   */
  async withDigest(dataset: Dataset, digest: string, signal: AbortSignal): Promise<RevisionManifest> {
    for await (const number of this.#numbersWithDigest(dataset, digest, signal)) {
      const found = await this.#withOwnDigest(dataset, { number, digest });
      if (found !== undefined) return found;
    }
    const found = await this.#atMoment(dataset, signal, {
      isWanted: (moment) => moment.digest === digest,
      read: async (moment) => {
        const own = await this.#withOwnDigest(dataset, moment.target);
        return own && manifestAt(moment, own);
      },
    });
    if (found !== undefined) return found;
    const [latest] = await this.viewsOf(dataset, await this.#catalog.revisions.page(dataset.id, { limit: 1 }));
    const now = latest?.isReady ? ` The digest of its files now is ${latest.digest}.` : '';
    const kept = await keptSentence(this.#catalog, dataset.id);
    const message = `No kept state of "${dataset.name}" that is READY has the digest ${digest}.${now} ${kept}`;
    throw new ServiceError('revision_not_found', message);
  }

  /**
   * Reads the files of a revision, without the states of linked datasets.
   *
   * @throws ServiceError `revision_not_found`
   */
  async ownManifest(dataset: Dataset, number: number): Promise<RevisionManifest> {
    const { id, accountId } = dataset;
    const read = () => this.#catalog.revisions.range(id, { from: number, to: number });
    const { revisions, files } = await this.#catalog.readMany(accountId, read);
    if (revisions.length === 0) throw await revisionNotFound(this.#catalog, id, number);
    const { isReady, digest } = stateOfRevision(files, { number, role: dataset.role });
    return {
      dataset,
      revision: number,
      status: isReady ? 'READY' : 'FAILED',
      digest: isReady ? digest : undefined,
      files: filesIn(files, number).filter(({ upload }) => upload.problem === undefined),
    };
  }

  /** `undefined` if the files of the revision have no longer the digest that is known of them. */
  async #withOwnDigest(
    dataset: Dataset,
    { number, digest }: { number: number; digest: string },
  ): Promise<RevisionManifest | undefined> {
    const own = await this.ownManifest(dataset, number).catch((error) => {
      // Retention has deleted it in the meantime.
      if (error instanceof ServiceError && error.code === 'revision_not_found') return undefined;
      throw error;
    });
    // A recheck may have found a damaged file since the digest was stored.
    return own?.digest === digest ? own : undefined;
  }

  /**
   * Reads the wanted moments of a dataset with links, by the links that it has now, newest first, until one has a result.
   *
   * @throws the signal's reason, and what `read` throws
   */
  async #atMoment(
    dataset: Dataset,
    signal: AbortSignal,
    { isWanted, read }: MomentSearch,
  ): Promise<RevisionManifest | undefined> {
    if (dataset.links.length === 0) return undefined;
    const links = dataset.links.map(({ slot, dataset: linked }) => ({ slot, linked }));
    for (const each of [dataset, ...links.map(({ linked }) => linked)]) {
      for await (const _ of this.#unknownViews(each, signal));
    }
    const target = await this.#knownRevisions(dataset, signal);
    const histories = [];
    for (const { slot, linked } of links) {
      histories.push({ slot, revisions: await this.#knownRevisions(linked, signal) });
    }
    for (const moment of linkedMoments(target, histories)) {
      signal.throwIfAborted();
      const result = isWanted(moment) ? await read(moment) : undefined;
      if (result !== undefined) return result;
    }
    return undefined;
  }

  /** All kept revisions, newest first. One that has changed since its state was computed counts as not READY. */
  async #knownRevisions({ id }: Dataset, signal: AbortSignal): Promise<KnownRevision[]> {
    const known: KnownRevision[] = [];
    for (let before: number | undefined; ; ) {
      signal.throwIfAborted();
      const page = await this.#catalog.revisions.page(id, { before, limit: REVISIONS_PER_SEARCH });
      for (const { number, startedAt, changedAt, digest, isReady } of page) {
        known.push({ number, startedAt, changedAt, digest: digest ?? '', isReady: isReady === true });
      }
      if (page.length < REVISIONS_PER_SEARCH) return known;
      before = page.at(-1)?.number;
    }
  }

  /** Yields the revisions with a digest: first the one that is known, then those whose digests have to be computed. */
  async *#numbersWithDigest(dataset: Dataset, digest: string, signal: AbortSignal): AsyncGenerator<number> {
    const known = await this.#catalog.revisions.withDigest(dataset.id, digest);
    if (known !== undefined) yield known.number;
    for await (const views of this.#unknownViews(dataset, signal)) {
      for (const view of views) if (view.isReady && view.digest === digest) yield view.number;
    }
  }

  /** Yields the revisions whose states are not known, newest first, once these are computed and stored. */
  async *#unknownViews(dataset: Dataset, signal: AbortSignal): AsyncGenerator<RevisionView[]> {
    for (let before: number | undefined; ; ) {
      signal.throwIfAborted();
      const page = { before, limit: REVISIONS_PER_SEARCH, isUnknown: true };
      const unknown = await this.#catalog.revisions.page(dataset.id, page);
      yield await this.viewsOf(dataset, unknown);
      if (unknown.length < REVISIONS_PER_SEARCH) return;
      before = unknown.at(-1)?.number;
    }
  }

  /** Completes revisions, newest first, with their digests. */
  async viewsOf(dataset: Dataset, revisions: readonly Revision[]): Promise<RevisionView[]> {
    const unknown = revisions.filter(({ isReady }) => isReady === null).map(({ number }) => number);
    const completed = unknown.length === 0 ? undefined : await this.#completion.complete(dataset, unknown);
    return revisions.flatMap((revision) => {
      const complete = completed?.get(revision.number) ?? revision;
      const { number, digest, isReady } = complete;
      // Retention has deleted it in the meantime.
      if (digest === null || isReady === null) return [];
      return [{ ...complete, digest, isReady, isLatest: number === dataset.revision }];
    });
  }
}

/** Adds the states of the linked datasets to the manifest of a revision. */
function manifestAt({ digest, links }: Moment, manifest: RevisionManifest): RevisionManifest {
  return {
    ...manifest,
    digest,
    filesDigest: manifest.digest,
    links: manifest.dataset.links.map((link, i) => {
      const { number: revision = 0, digest: linkedDigest } = links[i]?.revision ?? {};
      return { ...link, revision, digest: linkedDigest };
    }),
  };
}
