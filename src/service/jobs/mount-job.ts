import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type Dataset, MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import { hasErrno } from '../../dataset/errors.js';
import { datasetStatusOf, lastActivityOf, nextStatusChangeOf } from '../../dataset/pairs/linked-status.js';
import type { NewJob } from '../../storage/catalog/jobs.js';
import { rowChunksOf } from '../../storage/catalog/statements.js';
import type { ServiceDependencies } from '../dependencies.js';
import { catalogSource } from '../mount/catalog-source.js';
import { mountDataset, unmountDataset } from '../mount/mount.js';
import { MountError } from '../mount/mount-source.js';
import { type MountRecord, readRecord } from '../mount/mounted-folder.js';
import type { JobEnd, JobHandler } from './job-runner.js';

/** A dataset is mounted this long after its last change, so that a series of uploads causes one mount. */
const QUIET: Micros = 2 * MICROS_PER_SECOND;

/** The pause before another attempt while a folder, or a dataset of the same name, is in the way; and after a failure. */
const BLOCKED_PAUSE: Micros = 60 * MICROS_PER_SECOND;

const DATASETS_PER_PAGE = 100;

/** Targets that are reconciled when a dataset changes that they link to. */
const MAX_TARGETS = 10_000;

/** The dataset of the job that reconciles all of them. */
const ALL = '';

type MountDependencies = Pick<ServiceDependencies, 'catalog' | 'blobs' | 'jobs' | 'rules' | 'now'>;

/** The fields of a record that are kept. */
type RootRecord = Pick<MountRecord, 'dataset_id' | 'name' | 'digest' | 'mounted_with'>;

/** Receives log lines; a pino logger can be passed. */
export interface MountLog {
  readonly info: (details: object, message: string) => void;
  readonly warn: (details: object, message: string) => void;
}

/**
 * Reconciles a folder with the catalog: mounts each READY dataset together with its controls and its mask, mounts it again
 * after a change, and unmounts it after its deletion unless its folder was changed. Each change of a dataset enqueues a job. The
 * folder belongs to one machine, so the owners of its jobs are the accounts below the id of the root.
 */
export class MountRoot {
  readonly handler: JobHandler;
  readonly #dependencies: MountDependencies;
  readonly #options: { root: string; dataFolder: string; log: MountLog };
  readonly #id: string;
  /** When the jobs that this process has enqueued are due. Until then, further changes of a dataset need no other job. */
  readonly #dueAt = new Map<string, Micros>();
  /** The last warning of each dataset, and of each folder of a deleted one, which is not logged twice. */
  readonly #lastWarnings = new Map<string, string>();
  #stopListening: () => void = () => {};

  constructor(dependencies: MountDependencies, options: { root: string; dataFolder: string; log: MountLog }) {
    this.#dependencies = dependencies;
    this.#options = options;
    this.#id = createHash('sha256').update(`${hostname()}\n${options.root}`).digest('hex').slice(0, 12);
    const prefix = this.#keyOf('');
    this.handler = {
      kind: 'mount',
      atOnce: 1,
      longestRetry: BLOCKED_PAUSE,
      isFor: (owner) => owner.startsWith(prefix),
      run: ({ key }, signal) => this.#run(key.slice(prefix.length), signal),
    };
  }

  /** Reconciles all datasets, and each one after a change. */
  async start(): Promise<void> {
    const { catalog, now } = this.#dependencies;
    const changed = (id: string) => {
      if ((this.#dueAt.get(id) ?? 0) <= now()) this.#enqueueChanged(id);
    };
    // Changes may be missed in a gap, which a database without notifications has again and again.
    const missed = () => this.#enqueueOrWarn([{ id: ALL, accountId: '' }], now() + BLOCKED_PAUSE);
    this.#stopListening = catalog.changes.onAnyChange(changed, missed);
    await this.#enqueue([{ id: ALL, accountId: '' }], now());
  }

  stop(): void {
    this.#stopListening();
  }

  #keyOf(id: string): string {
    return `${this.#id}/${id}`;
  }

  async #enqueue(datasets: readonly Pick<Dataset, 'id' | 'accountId'>[], dueAt: Micros): Promise<void> {
    for (const chunk of rowChunksOf(datasets)) {
      const jobs = chunk.map(({ id, accountId }): NewJob => {
        return { kind: 'mount', key: this.#keyOf(id), accountId: this.#keyOf(accountId), dueAt };
      });
      await this.#dependencies.jobs.add(jobs, { ifWaiting: 'earlier' });
    }
  }

  #enqueueChanged(id: string): void {
    const { catalog, now } = this.#dependencies;
    const dueAt = now() + QUIET;
    this.#dueAt.set(id, dueAt);
    catalog
      .records({ ids: [id] })
      .then(([dataset = { id, accountId: '' }]) => this.#enqueueOrWarn([dataset], dueAt))
      .catch((error) => this.#warnNotEnqueued(error));
  }

  #enqueueOrWarn(datasets: readonly Pick<Dataset, 'id' | 'accountId'>[], dueAt: Micros): void {
    this.#enqueue(datasets, dueAt).catch((error) => this.#warnNotEnqueued(error));
  }

  #warnNotEnqueued(err: unknown): void {
    this.#options.log.warn({ err }, 'a changed dataset is not mounted before its next change');
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
    for (const mounted of [dataset, ...dataset.links.map((link) => link.dataset)]) {
      if (!(await this.#isOldestOfItsName(mounted))) return this.#leaveToOlder(dataset, mounted, signal);
    }
    return this.#mount(dataset, signal);
  }

  async #enqueueAll(): Promise<JobEnd> {
    const { catalog, now } = this.#dependencies;
    const ids = new Set<string>();
    for (
      let page: Pick<Dataset, 'id' | 'accountId'>[] | undefined;
      page === undefined || page.length === DATASETS_PER_PAGE;
    ) {
      page = await catalog.records({ afterId: page?.at(-1)?.id ?? '', limit: DATASETS_PER_PAGE });
      for (const { id } of page) ids.add(id);
      await this.#enqueue(page, now());
    }
    const deleted = (await this.#records()).map((record) => record.dataset_id).filter((id) => !ids.has(id));
    await this.#enqueue(
      [...new Set(deleted)].map((id) => ({ id, accountId: '' })),
      now(),
    );
    return 'done';
  }

  async #unmountDeleted(id: string, signal: AbortSignal): Promise<JobEnd> {
    this.#lastWarnings.delete(id);
    let isKept = false;
    for (const record of await this.#records()) {
      if (record.dataset_id === id && !(await this.#unmount(record, 'deleted', signal))) isKept = true;
    }
    return isKept ? this.#again() : 'done';
  }

  #again(): JobEnd {
    return { dueAt: this.#dependencies.now() + BLOCKED_PAUSE };
  }

  /** Folders are named after datasets, whose names are unique within an account only. */
  async #isOldestOfItsName({ id, name }: Pick<Dataset, 'id' | 'name'>): Promise<boolean> {
    const sameName = await this.#dependencies.catalog.records({ name });
    return (sameName.at(-1)?.id ?? id) === id;
  }

  /**
   * Enqueues the targets that link to a dataset, which are mounted together with it.
   *
   * @returns whether it is not mounted by itself: one of them is READY, or stands in the root with a state of it
   */
  async #belongsToTarget({ id, accountId }: Dataset): Promise<boolean> {
    const { catalog, rules, now } = this.#dependencies;
    const targets = await catalog.links.linkingTo(id, MAX_TARGETS);
    // The last link may have been removed meanwhile.
    if (targets.length === 0) return false;
    await this.#enqueue(
      targets.map((target) => ({ id: target.id, accountId })),
      now(),
    );
    const ids = targets.map((target) => target.id);
    for (const chunk of rowChunksOf(ids)) {
      const found = await catalog.datasets({ ids: chunk });
      if (found.some((target) => datasetStatusOf(target, now(), rules) === 'READY')) return true;
    }
    const records = (await this.#records()).filter((record) => ids.includes(record.dataset_id));
    return records.some(({ mounted_with: together = [] }) => together.some(({ dataset_id: each }) => each === id));
  }

  /** Removes the folder that a dataset has under an earlier name, since it will have none under its name. */
  async #leaveToOlder(
    dataset: Dataset,
    { id, name }: Pick<Dataset, 'id' | 'name'>,
    signal: AbortSignal,
  ): Promise<JobEnd> {
    const which = id === dataset.id ? 'this name' : `the name "${name}", which it links to`;
    this.#warnOnce(dataset, `another account has an older dataset of ${which}, so it is not mounted`);
    for (const record of await this.#records()) {
      if (record.dataset_id === dataset.id && record.name !== dataset.name) {
        await this.#unmount(record, 'renamed', signal);
      }
    }
    return this.#again();
  }

  async #mount(dataset: Dataset, signal: AbortSignal): Promise<JobEnd> {
    const { root, dataFolder, log } = this.#options;
    const { catalog, blobs, rules, now } = this.#dependencies;
    try {
      const mounted = await mountDataset(catalogSource({ catalog, blobs, dataFolder, rules, now }, dataset), {
        root,
        signal,
        wanted: {},
        replaces: false,
        isHardLinked: false,
        connections: 1,
        threads: 1,
        copiesOnMainThread: false,
        onProgress: undefined,
      });
      this.#lastWarnings.delete(dataset.id);
      for (const { outcome, name, folder, renamedFrom, digest, files, warnings } of [
        mounted,
        ...mounted.linkedFolders,
      ]) {
        const details = { dataset: name, folder, digest, files };
        this.#lastWarnings.delete(`folder ${name}`);
        if (renamedFrom !== undefined) log.info({ ...details, renamedFrom }, 'the folder was renamed with its dataset');
        if (outcome === 'mounted') log.info(details, 'mounted');
        for (const warning of warnings) log.warn({ dataset: name }, warning);
      }
      return 'done';
    } catch (error) {
      if (signal.aborted || !(error instanceof MountError)) throw error;
      this.#warnOnce(dataset, error.message);
      return this.#again();
    }
  }

  /** @returns false if the folder was changed, and so is kept */
  async #unmount({ name, digest }: RootRecord, reason: 'deleted' | 'renamed', signal: AbortSignal): Promise<boolean> {
    const { root, log } = this.#options;
    const { catalog, now } = this.#dependencies;
    try {
      await unmountDataset(name, { root, signal, replaces: false });
    } catch (error) {
      if (signal.aborted || !(error instanceof MountError)) throw error;
      const message = `the dataset was ${reason}, but its folder is kept: ${error.message}`;
      this.#warnOnce({ id: `folder ${name}`, name }, message);
      return false;
    }
    log.info({ dataset: name, digest }, `unmounted, because the dataset was ${reason}`);
    // A dataset of another account may take over the name.
    await this.#enqueue(await catalog.records({ name }), now());
    return true;
  }

  /** The records of folders that were mounted into this root from this data folder; one list of files is in memory at a time. */
  async #records(): Promise<RootRecord[]> {
    const { root, dataFolder } = this.#options;
    const entries = await readdir(root, { withFileTypes: true }).catch((error) => {
      if (hasErrno(error, 'ENOENT')) return [];
      throw error;
    });
    const folders = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'));
    const records: RootRecord[] = [];
    for (const folder of folders) {
      const record = await readRecord(join(root, folder.name));
      if (record?.source !== dataFolder || record.name !== folder.name) continue;
      const { dataset_id, name, digest, mounted_with } = record;
      records.push({ dataset_id, name, digest, ...(mounted_with && { mounted_with }) });
    }
    return records;
  }

  #warnOnce({ id, name }: { id: string; name: string }, message: string): void {
    if (this.#lastWarnings.get(id) === message) return;
    this.#lastWarnings.set(id, message);
    this.#options.log.warn({ dataset: name }, message);
  }
}
