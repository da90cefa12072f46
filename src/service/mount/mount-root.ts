import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Dataset, MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import { datasetStatusOf, lastActivityOf } from '../../dataset/pairs/linked-status.js';
import { hasErrno } from '../../dataset/errors.js';
import type { ServiceDependencies } from '../dependencies.js';
import { mountDataset, unmountDataset } from './mount.js';
import { catalogSource } from './catalog-source.js';
import { MountError } from './mount-source.js';
import { type MountRecord, readRecord } from './mounted-folder.js';

/** A dataset is mounted this long after its last change, so that a series of uploads causes one mount. */
const QUIET: Micros = 2 * MICROS_PER_SECOND;

/** All datasets are reconciled this often, to catch missed notifications and to retry failed mounts. */
const FULL_INTERVAL_MS = 60_000;

/** Targets that are looked at when a dataset changes that they link to; the others are at the next full round. */
const MAX_TARGETS = 1000;

/** Receives log lines; a pino logger can be passed. */
export interface MountLog {
  readonly info: (details: object, message: string) => void;
  readonly warn: (details: object, message: string) => void;
}

/**
 * Reconciles a folder with the catalog: mounts each READY dataset, mounts it again after a change, and unmounts it after its
 * deletion unless its folder was changed. Works on one dataset at a time with one thread, while requests are served.
 */
export class MountRoot {
  readonly #dependencies: ServiceDependencies;
  readonly #options: { root: string; dataFolder: string; log: MountLog };
  readonly #stopping = new AbortController();
  /** Datasets to reconcile, each with its earliest time in milliseconds since 1970. */
  readonly #scheduled = new Map<string, number>();
  /** The last warning of each dataset, which is not logged twice. */
  readonly #lastWarnings = new Map<string, string>();
  #wake = new AbortController();
  #sleepsUntil = 0;
  #running: Promise<void> = Promise.resolve();
  #stopListening: () => void = () => {};

  constructor(dependencies: ServiceDependencies, options: { root: string; dataFolder: string; log: MountLog }) {
    this.#dependencies = dependencies;
    this.#options = options;
  }

  start(): void {
    this.#stopListening = this.#dependencies.catalog.changes.onAnyChange((id) => this.#schedule(id));
    this.#running = this.#run();
  }

  /** Aborts the current mount, which the next start begins again. */
  async stop(): Promise<void> {
    this.#stopListening();
    this.#stopping.abort();
    await this.#running;
  }

  #schedule(id: string, delayMs = QUIET / 1000): void {
    const at = Date.now() + delayMs;
    this.#scheduled.set(id, at);
    // A burst of uploads wakes the loop once.
    if (at < this.#sleepsUntil) this.#wake.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let nextFullAt = 0;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      try {
        if (Date.now() >= nextFullAt) {
          await this.#reconcileAll();
          nextFullAt = Date.now() + FULL_INTERVAL_MS;
        }
        for (const [id, at] of [...this.#scheduled]) {
          if (signal.aborted || at > Date.now()) continue;
          this.#scheduled.delete(id);
          await this.#reconcile(id);
        }
      } catch (err) {
        if (!signal.aborted) this.#options.log.warn({ err }, 'the mount root could not be updated');
      }
      const next = Math.min(nextFullAt, ...this.#scheduled.values());
      const stopOrWake = AbortSignal.any([signal, this.#wake.signal]);
      this.#sleepsUntil = next;
      await wait(Math.max(next - Date.now(), 1), undefined, { signal: stopOrWake }).catch(() => {});
      this.#sleepsUntil = 0;
    }
  }

  async #reconcileAll(): Promise<void> {
    const datasets = await this.#dependencies.catalog.datasets({});
    const ids = new Set(datasets.map(({ id }) => id));
    for (const record of await this.#records()) {
      if (!ids.has(record.dataset_id)) await this.#unmount(record);
    }
    for (const { id } of datasets) if (!this.#scheduled.has(id)) this.#scheduled.set(id, 0);
  }

  async #reconcile(id: string): Promise<void> {
    const [dataset] = await this.#dependencies.catalog.datasets({ ids: [id] });
    if (dataset === undefined) {
      for (const record of await this.#records()) if (record.dataset_id === id) await this.#unmount(record);
      this.#lastWarnings.delete(id);
      return;
    }
    // A target is mounted together with its controls and its mask.
    if (dataset.isLinkedTo) {
      for (const target of await this.#dependencies.catalog.links.linkingTo(id, MAX_TARGETS)) this.#schedule(target.id);
    }
    const now = this.#dependencies.now();
    // A mounted folder stays while its dataset is not READY: the trainer may be using it.
    if (datasetStatusOf(dataset, now, this.#dependencies.rules) !== 'READY') return;
    const quietAt = lastActivityOf(dataset) + QUIET;
    if (quietAt > now) return this.#schedule(id, (quietAt - now) / 1000);
    // The folders of its controls and its mask are replaced too.
    for (const mounted of [dataset, ...dataset.links.map((link) => link.dataset)]) {
      if (await this.#isOldestOfItsName(mounted)) continue;
      const which = mounted.id === id ? 'this name' : `the name "${mounted.name}", which it links to`;
      this.#warnOnce(dataset, `another account has an older dataset of ${which}, so it is not mounted`);
      return;
    }
    await this.#mount(dataset);
  }

  /** Folders are named after datasets, whose names are unique within an account only. */
  async #isOldestOfItsName({ id, name }: Pick<Dataset, 'id' | 'name'>): Promise<boolean> {
    const sameName = await this.#dependencies.catalog.datasets({ name });
    return (sameName.at(-1)?.id ?? id) === id;
  }

  async #mount(dataset: Dataset): Promise<void> {
    const { root, dataFolder, log } = this.#options;
    const { catalog, blobs, rules, now } = this.#dependencies;
    const { signal } = this.#stopping;
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
      const { outcome, folder, digest, files, warnings } = mounted;
      if (outcome === 'mounted') log.info({ dataset: dataset.name, folder, digest, files }, 'mounted');
      for (const warning of warnings) log.warn({ dataset: dataset.name }, warning);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof MountError) return this.#warnOnce(dataset, error.message);
      log.warn({ dataset: dataset.name, err: error }, 'the mount failed and will be tried again');
    }
  }

  async #unmount({ name, digest }: MountRecord): Promise<void> {
    const { root, log } = this.#options;
    try {
      await unmountDataset(name, { root, signal: this.#stopping.signal, replaces: false });
      log.info({ dataset: name, digest }, 'unmounted, because the dataset was deleted');
      // A dataset of another account may take over the name.
      for (const { id } of await this.#dependencies.catalog.datasets({ name })) this.#schedule(id, 0);
    } catch (error) {
      if (!(error instanceof MountError)) throw error;
      const message = `the dataset was deleted, but its folder is kept: ${error.message}`;
      this.#warnOnce({ id: `folder ${name}`, name }, message);
    }
  }

  /** The records of folders that were mounted into this root from this data folder. */
  async #records(): Promise<MountRecord[]> {
    const { root, dataFolder } = this.#options;
    const entries = await readdir(root, { withFileTypes: true }).catch((error) => {
      if (hasErrno(error, 'ENOENT')) return [];
      throw error;
    });
    const folders = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'));
    const records = await Promise.all(folders.map(({ name }) => readRecord(join(root, name))));
    return records.flatMap((record, i) =>
      record?.source === dataFolder && record.name === folders[i]?.name ? [record] : [],
    );
  }

  #warnOnce({ id, name }: { id: string; name: string }, message: string): void {
    if (this.#lastWarnings.get(id) === message) return;
    this.#lastWarnings.set(id, message);
    this.#options.log.warn({ dataset: name }, message);
  }
}
