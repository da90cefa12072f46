import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Dataset, MICROS_PER_SECOND, type Micros, statusOf } from '../../dataset/dataset.js';
import { hasErrno } from '../../dataset/errors.js';
import type { ServiceDependencies } from '../dependencies.js';
import { mountDataset, unmountDataset } from './mount.js';
import { catalogSource, MountError } from './mount-source.js';
import { type MountRecord, readRecord } from './mounted-folder.js';

/** A dataset is mounted once nothing has happened to it for so long: files that come one by one are not mounted one by one. */
const QUIET: Micros = 2 * MICROS_PER_SECOND;

/** Between two looks at everything: for datasets of which no change was heard, and for mounts that failed. */
const LOOK_INTERVAL_MS = 60_000;

/** What is told of a mount; a logger of pino fits. */
export interface MountLog {
  readonly info: (details: object, message: string) => void;
  readonly warn: (details: object, message: string) => void;
}

/**
 * Keeps a folder in step with the catalog: every READY dataset is mounted in it, is mounted anew when it has changed, and is
 * taken away when it is deleted and nobody else has put anything into its folder. Works on one dataset at a time with one
 * thread, beside the requests.
 */
export class MountRoot {
  readonly #dependencies: ServiceDependencies;
  readonly #options: { root: string; dataFolder: string; log: MountLog };
  readonly #stopping = new AbortController();
  /** Datasets to look at, each not before its moment in milliseconds. */
  readonly #due = new Map<string, number>();
  /** The last thing said of a dataset, so that it is said once. */
  readonly #said = new Map<string, string>();
  #woken = new AbortController();
  #sleepsUntil = 0;
  #running: Promise<void> = Promise.resolve();
  #stopListening: () => void = () => {};

  constructor(dependencies: ServiceDependencies, options: { root: string; dataFolder: string; log: MountLog }) {
    this.#dependencies = dependencies;
    this.#options = options;
  }

  start(): void {
    this.#stopListening = this.#dependencies.catalog.onAnyChange((id) => this.#lookLater(id));
    this.#running = this.#run();
  }

  /** Breaks off what is under way, which the next start begins anew. */
  async stop(): Promise<void> {
    this.#stopListening();
    this.#stopping.abort();
    await this.#running;
  }

  #lookLater(id: string, delayMs = QUIET / 1000): void {
    const at = Date.now() + delayMs;
    this.#due.set(id, at);
    // A burst of uploads does not wake it for each of them.
    if (at < this.#sleepsUntil) this.#woken.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let lookAtAllAt = 0;
    while (!signal.aborted) {
      this.#woken = new AbortController();
      try {
        if (Date.now() >= lookAtAllAt) {
          await this.#lookAtAll();
          lookAtAllAt = Date.now() + LOOK_INTERVAL_MS;
        }
        for (const [id, at] of [...this.#due]) {
          if (signal.aborted || at > Date.now()) continue;
          this.#due.delete(id);
          await this.#lookAt(id);
        }
      } catch (err) {
        if (!signal.aborted) this.#options.log.warn({ err }, 'the mount root could not be brought up to date');
      }
      const next = Math.min(lookAtAllAt, ...this.#due.values());
      const either = AbortSignal.any([signal, this.#woken.signal]);
      this.#sleepsUntil = next;
      await wait(Math.max(next - Date.now(), 1), undefined, { signal: either }).catch(() => {});
      this.#sleepsUntil = 0;
    }
  }

  async #lookAtAll(): Promise<void> {
    const datasets = await this.#dependencies.catalog.datasets({});
    const ids = new Set(datasets.map(({ id }) => id));
    for (const record of await this.#records()) {
      if (!ids.has(record.dataset_id)) await this.#takeAway(record);
    }
    for (const { id } of datasets) if (!this.#due.has(id)) this.#due.set(id, 0);
  }

  async #lookAt(id: string): Promise<void> {
    const named = await this.#dependencies.catalog.datasets({ ids: [id] });
    const [dataset] = named;
    if (dataset === undefined) {
      for (const record of await this.#records()) if (record.dataset_id === id) await this.#takeAway(record);
      this.#said.delete(id);
      return;
    }
    const { counts } = dataset;
    const now = this.#dependencies.now();
    // While it is not READY, what is mounted stays: a run may be using it.
    if (statusOf(counts, now, this.#dependencies.rules) !== 'READY') return;
    const quietAt = counts.lastActivity + QUIET;
    if (quietAt > now) return this.#lookLater(id, (quietAt - now) / 1000);
    const namesakes = await this.#dependencies.catalog.datasets({ name: dataset.name });
    const first = namesakes.at(-1);
    if (first !== undefined && first.id !== id) {
      this.#warnOnce(dataset, 'another account has an older dataset of this name, so it is not mounted');
      return;
    }
    await this.#mount(dataset);
  }

  async #mount(dataset: Dataset): Promise<void> {
    const { root, dataFolder, log } = this.#options;
    const { catalog, blobs, rules, now } = this.#dependencies;
    const { signal } = this.#stopping;
    try {
      const mounted = await mountDataset(catalogSource({ catalog, blobs, dataFolder, rules, now }, dataset), {
        root,
        signal,
        digest: undefined,
        isForced: false,
        isLinked: false,
        connections: 1,
        threads: 1,
        copiesHere: false,
        onProgress: undefined,
      });
      this.#said.delete(dataset.id);
      const { outcome, folder, digest, files, warnings } = mounted;
      if (outcome === 'mounted') log.info({ dataset: dataset.name, folder, digest, files }, 'mounted');
      for (const warning of warnings) log.warn({ dataset: dataset.name }, warning);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof MountError) return this.#warnOnce(dataset, error.message);
      log.warn({ dataset: dataset.name, err: error }, 'mounting failed and will be tried again');
    }
  }

  async #takeAway({ name, digest }: MountRecord): Promise<void> {
    const { root, log } = this.#options;
    try {
      await unmountDataset(name, { root, signal: this.#stopping.signal, isForced: false });
      log.info({ dataset: name, digest }, 'taken away, since the dataset was deleted');
      // The name is free for another account's dataset.
      for (const { id } of await this.#dependencies.catalog.datasets({ name })) this.#lookLater(id, 0);
    } catch (error) {
      if (!(error instanceof MountError)) throw error;
      this.#warnOnce({ id: `folder ${name}`, name }, `the dataset was deleted, and its folder stays: ${error.message}`);
    }
  }

  /** The records of what was mounted here from this very data folder. */
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
    if (this.#said.get(id) === message) return;
    this.#said.set(id, message);
    this.#options.log.warn({ dataset: name }, message);
  }
}
