import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { type Dataset, MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import { datasetStatusOf, lastActivityOf, nextStatusChangeOf } from '../../dataset/pairs/linked-status.js';
import type { DatasetRecord } from '../../storage/catalog/rows.js';
import { rowChunksOf } from '../../storage/catalog/statements.js';
import type { ServiceDependencies } from '../dependencies.js';
import { catalogSource } from '../mount/catalog-source.js';
import { mountDataset, unmountDataset } from '../mount/mount.js';
import { MountError } from '../mount/mount-source.js';
import { recordedFoldersIn } from '../mount/mounted-folder.js';
import type { JobEnd, JobHandler } from './job-runner.js';

/** A dataset is mounted this long after its last change, so that a series of uploads causes one mount. */
const QUIET: Micros = 2 * MICROS_PER_SECOND;

/** The pause before another attempt while a folder, or a dataset of the same name, is in the way; and after a failure. */
const BLOCKED_PAUSE: Micros = 60 * MICROS_PER_SECOND;

const DATASETS_PER_PAGE = 100;

/** The dataset of the job that enqueues all of them. */
const ALL = '';

type MountDependencies = Pick<ServiceDependencies, 'catalog' | 'blobs' | 'jobs' | 'rules' | 'now'>;
type DatasetOfAccount = Pick<Dataset, 'id' | 'accountId'>;

/** Receives log lines; a pino logger can be passed. */
export interface MountLog {
  readonly info: (details: object, message: string) => void;
  readonly warn: (details: object, message: string) => void;
}

/**
 * Mounts each READY dataset together with its controls and its mask, mounts it again after a change, and unmounts it after its
 * deletion unless its folder was changed. Each change of a dataset enqueues a job. The folder belongs to one machine, so the owners
 * of its jobs are the accounts below the id of the root.
 */
export class MountRoot {
  readonly handler: JobHandler;
  readonly #dependencies: MountDependencies;
  readonly #options: { root: string; dataFolder: string; log: MountLog };
  readonly #prefix: string;
  /** When the jobs that this process has enqueued are due. Until then, further changes of a dataset need no other job. */
  readonly #dueAt = new Map<string, Micros>();
  /** The last warning about each name, which is not logged twice. */
  readonly #lastWarnings = new Map<string, string>();
  #stopListening: () => void = () => {};

  constructor(dependencies: MountDependencies, options: { root: string; dataFolder: string; log: MountLog }) {
    this.#dependencies = dependencies;
    this.#options = options;
    const id = createHash('sha256').update(`${hostname()}\n${options.root}`).digest('hex').slice(0, 12);
    this.#prefix = `${id}/`;
    this.handler = {
      kind: 'mount',
      atOnce: 1,
      longestRetry: BLOCKED_PAUSE,
      isFor: (owner) => owner.startsWith(this.#prefix),
      run: ({ key }, signal) => this.#run(key.slice(this.#prefix.length), signal),
    };
  }

  /** Mounts all datasets, and each one after a change. */
  async start(): Promise<void> {
    const { catalog, now } = this.#dependencies;
    const all = [{ id: ALL, accountId: '' }];
    const warn = (err: unknown) =>
      this.#options.log.warn({ err }, 'a changed dataset is not mounted before its next change');
    const changed = (id: string) => {
      if ((this.#dueAt.get(id) ?? 0) > now()) return;
      const dueAt = now() + QUIET;
      this.#dueAt.set(id, dueAt);
      catalog
        .records({ ids: [id] })
        .then(([dataset = { id, accountId: '' }]) => this.#enqueue([dataset], dueAt))
        .catch(warn);
    };
    // Changes may be missed in a gap, which a database without notifications has again and again.
    const missed = () => void this.#enqueue(all, now() + BLOCKED_PAUSE).catch(warn);
    this.#stopListening = catalog.changes.onAnyChange(changed, missed);
    await this.#enqueue(all, now());
  }

  stop(): void {
    this.#stopListening();
  }

  async #enqueue(datasets: readonly DatasetOfAccount[], dueAt: Micros): Promise<void> {
    for (const chunk of rowChunksOf(datasets)) {
      const jobs = chunk.map(({ id, accountId }) => {
        return { kind: 'mount' as const, key: this.#prefix + id, accountId: this.#prefix + accountId, dueAt };
      });
      await this.#dependencies.jobs.add(jobs);
    }
  }

  async #run(id: string, signal: AbortSignal): Promise<JobEnd> {
    if (id === ALL) return this.#enqueueAll();
    this.#dueAt.delete(id);
    const { catalog, rules, now } = this.#dependencies;
    const [dataset] = await catalog.datasets({ ids: [id] });
    if (dataset === undefined) return this.#unmountDeleted(id, signal);
    if (dataset.isLinkedTo && (await this.#belongsToTarget(dataset))) return 'done';
    const at = now();
    // A mounted folder stays while its dataset is not READY: the trainer may be using it.
    if (datasetStatusOf(dataset, at, rules) !== 'READY') {
      const changesAt = nextStatusChangeOf(dataset, at, rules);
      return changesAt === undefined ? 'done' : { dueAt: changesAt };
    }
    const quietAt = lastActivityOf(dataset) + QUIET;
    if (quietAt > at) return { dueAt: quietAt };
    // The folders of its controls and its mask are replaced too.
    const all = [dataset, ...dataset.links.map((link) => link.dataset)];
    for (const each of all) {
      // Folders are named after datasets, whose names are unique within an account only.
      const oldest = (await catalog.records({ name: each.name })).at(-1);
      if (oldest === undefined || oldest.id === each.id) continue;
      const which = each === dataset ? 'this name' : `the name "${each.name}", which it links to`;
      this.#warnOnce(dataset.name, `another account has an older dataset of ${which}, so it is not mounted`);
      return this.#again();
    }
    return (await this.#mount(dataset, signal)) ? 'done' : this.#again();
  }

  async #enqueueAll(): Promise<JobEnd> {
    const { catalog, now } = this.#dependencies;
    const ids = new Set<string>();
    for (let page: DatasetRecord[] | undefined; page === undefined || page.length === DATASETS_PER_PAGE; ) {
      page = await catalog.records({ afterId: page?.at(-1)?.id ?? '', limit: DATASETS_PER_PAGE });
      for (const { id } of page) ids.add(id);
      await this.#enqueue(page, now());
    }
    const mounted = new Set((await this.#records()).map((record) => record.dataset_id));
    const deleted = [...mounted].filter((id) => !ids.has(id)).map((id) => ({ id, accountId: '' }));
    await this.#enqueue(deleted, now());
    return 'done';
  }

  #again(): JobEnd {
    return { dueAt: this.#dependencies.now() + BLOCKED_PAUSE };
  }

  /**
   * Enqueues the targets that link to a dataset: it is mounted together with them, and never by itself.
   *
   * @returns false if the last link has been removed meanwhile
   */
  async #belongsToTarget({ id, accountId }: Dataset): Promise<boolean> {
    const { catalog, now } = this.#dependencies;
    const targets = await catalog.links.linkingTo(id);
    if (targets.length === 0) return false;
    await this.#enqueue(
      targets.map((target) => ({ id: target.id, accountId })),
      now(),
    );
    return true;
  }

  /** Removes the folders of a deleted dataset. */
  async #unmountDeleted(id: string, signal: AbortSignal): Promise<JobEnd> {
    const { root, log } = this.#options;
    const { catalog, now } = this.#dependencies;
    let end: JobEnd = 'done';
    for (const { name, digest } of (await this.#records()).filter((record) => record.dataset_id === id)) {
      try {
        await unmountDataset(name, { root, signal });
        log.info({ dataset: name, digest }, 'unmounted, because the dataset was deleted');
        this.#lastWarnings.delete(name);
        // A dataset of another account may take over the name.
        await this.#enqueue(await catalog.records({ name }), now());
      } catch (error) {
        if (signal.aborted || !(error instanceof MountError)) throw error;
        this.#warnOnce(name, `the dataset was deleted, but its folder is kept: ${error.message}`);
        end = this.#again();
      }
    }
    return end;
  }

  /** @returns whether it is mounted */
  async #mount(dataset: Dataset, signal: AbortSignal): Promise<boolean> {
    const { root, dataFolder, log } = this.#options;
    try {
      const mounted = await mountDataset(catalogSource({ ...this.#dependencies, dataFolder }, dataset), {
        root,
        signal,
        wanted: {},
        replaces: false,
        isNamed: (name) => name === dataset.name,
        isHardLinked: false,
        concurrency: 1,
      });
      for (const { outcome, name, folder, digest, files, warnings } of [mounted, ...mounted.linkedFolders]) {
        this.#lastWarnings.delete(name);
        if (outcome === 'mounted') log.info({ dataset: name, folder, digest, files }, 'mounted');
        for (const warning of warnings) log.warn({ dataset: name }, warning);
      }
      return true;
    } catch (error) {
      if (signal.aborted || !(error instanceof MountError)) throw error;
      this.#warnOnce(dataset.name, error.message);
      return false;
    }
  }

  /** The records of folders that were mounted into this root from this data folder. */
  async #records() {
    const { root, dataFolder } = this.#options;
    return (await recordedFoldersIn(root)).filter(({ source }) => source === dataFolder);
  }

  #warnOnce(name: string, message: string): void {
    if (this.#lastWarnings.get(name) === message) return;
    this.#lastWarnings.set(name, message);
    this.#options.log.warn({ dataset: name }, message);
  }
}
