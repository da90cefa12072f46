import type { Dataset, LinkSlot, Status, StoredFile } from '../../dataset/dataset.js';
import { digestWithLinks } from '../../dataset/digest.js';
import { ServiceError } from '../../dataset/errors.js';
import { filesIn, filesStateOf, revisionsTogether } from '../../dataset/history/revision-states.js';
import type { Revision } from '../../dataset/history/revisions.js';
import type { Catalog } from '../../storage/catalog/catalog.js';
import type { DatasetView } from '../dataset-view.js';
import { keptSentence, revisionNotFound } from '../find-revision.js';

/** A revision with a digest. */
export interface RevisionView extends Revision {
  readonly digest: string;
  readonly isReady: boolean;
  readonly isLatest: boolean;
}

/** The state of a linked dataset at the time of a manifest. */
export interface ManifestLink {
  readonly slot: LinkSlot;
  readonly dataset: Dataset;
  readonly revision: number;
  /** Only if READY. */
  readonly digest: string | undefined;
}

export interface RevisionManifest {
  readonly dataset: Dataset;
  readonly revision: number;
  readonly status: Status;
  /** Only if READY; with links, of all datasets. */
  readonly digest: string | undefined;
  /** Identifies its own files; only if READY with links. */
  readonly filesDigest?: string | undefined;
  /** Without damaged ones, by name. */
  readonly files: readonly StoredFile[];
  /** Absent for an earlier revision if no READY states of the linked datasets are kept. */
  readonly links?: readonly ManifestLink[];
}

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

/** Reads revisions. A digest is computed when it is needed, and stored. */
export class RevisionManifests {
  readonly #catalog: Catalog;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** A revision with the READY states of linked datasets of its time. @throws ServiceError `revision_not_found`; the signal's reason */
  async manifest(dataset: Dataset, number: number, signal: AbortSignal): Promise<RevisionManifest> {
    const own = await this.ownManifest(dataset, number);
    if (own.digest === undefined || dataset.links.length === 0) return own;
    const together = await this.#together(dataset, (target) => target.number === number, signal);
    return together === undefined ? own : withLinks(own, together);
  }

  /** The newest READY revision with this digest, its own or with linked datasets. @throws as `manifest` */
  async withDigest(dataset: Dataset, digest: string, signal: AbortSignal): Promise<RevisionManifest> {
    const kept = await this.#catalog.revisions.page(dataset.id);
    const isUnknown = ({ digest: known }: Revision) => known === null;
    for (const revision of [...kept.filter((each) => !isUnknown(each)), ...kept.filter(isUnknown)]) {
      const [view] = await this.viewsOf(dataset, [revision], signal);
      if (view?.isReady && view.digest === digest) return this.ownManifest(dataset, view.number);
    }
    const hasDigest = (target: RevisionView, linked: readonly RevisionView[]) =>
      digestTogether(dataset, target, linked) === digest;
    const together = dataset.links.length === 0 ? undefined : await this.#together(dataset, hasDigest, signal);
    if (together !== undefined) return withLinks(await this.ownManifest(dataset, together.target.number), together);
    const [latest] = await this.viewsOf(dataset, kept.slice(0, 1));
    const now = latest?.isReady ? ` The digest of its files now is ${latest.digest}.` : '';
    const message = `No kept state of "${dataset.name}" that is READY has the digest ${digest}.${now} ${await keptSentence(this.#catalog, dataset.id)}`;
    throw new ServiceError('revision_not_found', message);
  }

  /** Without the states of linked datasets. @throws ServiceError `revision_not_found` */
  async ownManifest(dataset: Dataset, number: number): Promise<RevisionManifest> {
    const { id, accountId, role } = dataset;
    const read = () => this.#catalog.revisions.versions({ datasetId: id, from: number, to: number });
    const { kept, files } = await this.#catalog.readMany(accountId, read);
    if (!kept.has(number)) throw await revisionNotFound(this.#catalog, id, number);
    const { digest, readyAs } = filesStateOf(files);
    const isReady = readyAs.includes(role);
    return {
      dataset,
      revision: number,
      status: isReady ? 'READY' : 'FAILED',
      digest: isReady ? digest : undefined,
      files: filesIn(files, number).filter(({ upload }) => upload.problem === undefined),
    };
  }

  /** The newest wanted READY revisions of a dataset and its linked ones that were the latest at one time. @throws the signal's reason */
  async #together(
    dataset: Dataset,
    isWanted: (target: RevisionView, linked: readonly RevisionView[]) => boolean,
    signal: AbortSignal,
  ): Promise<RevisionsTogether | undefined> {
    const histories: RevisionView[][] = [];
    for (const each of [dataset, ...dataset.links.map((link) => link.dataset)]) {
      histories.push(await this.viewsOf(each, await this.#catalog.revisions.page(each.id), signal));
    }
    for (const [target, ...linked] of revisionsTogether(histories)) {
      const areReady = target?.isReady && linked.every(({ isReady }) => isReady);
      if (areReady && isWanted(target, linked)) return { target, linked };
    }
    return undefined;
  }

  /** Completes revisions with digests, and leaves out those no longer kept. @throws the signal's reason */
  async viewsOf(
    dataset: Pick<Dataset, 'id' | 'accountId' | 'revision'>,
    revisions: readonly Revision[],
    signal?: AbortSignal,
  ): Promise<RevisionView[]> {
    const views: RevisionView[] = [];
    for (const revision of revisions) {
      signal?.throwIfAborted();
      const compute = () => this.#catalog.revisions.computeDigest(dataset.id, revision.number);
      const known = revision.digest === null ? await this.#catalog.readMany(dataset.accountId, compute) : revision;
      if (known === undefined) continue;
      const { number, digest, isReady } = known;
      if (digest === null || isReady === null) throw new Error(`Revision ${number} has no digest.`);
      views.push({ ...known, digest, isReady, isLatest: number === dataset.revision });
    }
    return views;
  }
}

/** Revisions that were the latest at one time, in the order of the links. */
interface RevisionsTogether {
  readonly target: RevisionView;
  readonly linked: readonly RevisionView[];
}

function digestTogether({ links }: Dataset, target: RevisionView, linked: readonly RevisionView[]): string {
  const digests = links.map(({ slot }, i) => ({ slot, digest: linked[i]?.digest ?? '' }));
  return digestWithLinks(target.digest, digests);
}

function withLinks(own: RevisionManifest, { target, linked }: RevisionsTogether): RevisionManifest {
  const { dataset, digest } = own;
  // A file may be damaged meanwhile.
  if (digest === undefined) return own;
  return {
    ...own,
    digest: digestTogether(dataset, target, linked),
    filesDigest: digest,
    links: dataset.links.map((link, i) => ({ ...link, revision: linked[i]?.number ?? 0, digest: linked[i]?.digest })),
  };
}
