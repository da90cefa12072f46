import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Dataset, MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import { hasErrno } from '../../dataset/errors.js';
import { datasetStatusOf, lastActivityOf } from '../../dataset/pairs/linked-status.js';
import type { ServiceDependencies } from '../dependencies.js';
import { catalogSource } from './catalog-source.js';
import { mountDataset, unmountDataset } from './mount.js';
import { MountError } from './mount-source.js';
import { type MountRecord, readRecord } from './mounted-folder.js';

/** A dataset is mounted this long after its last change, so that a series of uploads causes one mount. */
const QUIET: Micros = 2 * MICROS_PER_SECOND;

/** All datasets are reconciled this often, to catch missed notifications and to retry failed mounts. */
const FULL_INTERVAL_MS = 60_000;

/** Read at a time. */
const DATASETS_PER_PAGE = 100;

/** Targets that are reconciled when a dataset changes that they link to; the others are in the next full round. */
const MAX_TARGETS = 1000;

/** The fields of a record that are kept. */
type RootRecord = Pick<MountRecord, 'dataset_id' | 'name' | 'digest' | 'mounted_with'>;

/** Datasets of an account that were due at one moment. */
interface Round {
  readonly waiting: Set<string>;
  /** Those that the round has reconciled: a target is due itself, and with each of its controls. */
  readonly done: Set<string>;
}

/** Receives log lines; a pino logger can be passed. */
export interface MountLog {
  readonly info: (details: object, message: string) => void;
  readonly warn: (details: object, message: string) => void;
}

/**
 * Reconciles a folder with the catalog: mounts each READY dataset together with its controls and its mask, mounts it again
 * after a change, and unmounts it after its deletion unless its folder was changed. Works on one dataset at a time with one
 * thread, while requests are served; the accounts take turns, so that the many datasets of one don't delay those of others.
 */
export class MountRoot {
  readonly #dependencies: ServiceDependencies;
  readonly #options: { root: string; dataFolder: string; log: MountLog };
  readonly #stopping = new AbortController();
  /** Datasets to reconcile, each with its earliest time in milliseconds since 1970. */
  readonly #scheduled = new Map<string, number>();
  /** The round of each account that has one. What is due in the meantime is in its next one. */
  readonly #rounds = new Map<string, Round>();
  /** The accounts of the datasets that there were at the last full reconciliation, and of those that have changed since. */
  #accounts = new Map<string, string>();
  /** The last warning of each dataset, and of each folder of a deleted one, which is not logged twice. */
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
    this.#wake.abort();
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
        await this.#beginRounds();
        for (const [accountId, round] of [...this.#rounds]) {
          if (signal.aborted) break;
          await this.#takeTurn(accountId, round);
        }
      } catch (err) {
        if (!signal.aborted) this.#options.log.warn({ err }, 'the mount root could not be updated');
      }
      let next = this.#rounds.size > 0 ? 0 : nextFullAt;
      for (const at of this.#scheduled.values()) next = Math.min(next, at);
      this.#sleepsUntil = next;
      await wait(Math.max(next - Date.now(), 1), undefined, { signal: this.#wake.signal }).catch(() => {});
      this.#sleepsUntil = 0;
    }
  }

  async #reconcileAll(): Promise<void> {
    const { catalog } = this.#dependencies;
    const records = await this.#records();
    const accounts = new Map<string, string>();
    for (let page: Dataset[] | undefined; page === undefined || page.length === DATASETS_PER_PAGE; ) {
      page = await catalog.datasets({ afterId: page?.at(-1)?.id ?? '', limit: DATASETS_PER_PAGE });
      for (const { id, accountId } of page) accounts.set(id, accountId);
    }
    const folders = new Set(records.map(({ name }) => `folder ${name}`));
    for (const key of this.#lastWarnings.keys())
      if (!accounts.has(key) && !folders.has(key)) this.#lastWarnings.delete(key);
    for (const record of records) if (!accounts.has(record.dataset_id)) await this.#unmount(record, 'deleted');
    this.#accounts = accounts;
    for (const [id, accountId] of accounts) {
      if (!this.#scheduled.has(id) && !this.#rounds.has(accountId)) this.#scheduled.set(id, 0);
    }
  }

  /** Begins the round of each account that has none, of its datasets that are due. */
  async #beginRounds(): Promise<void> {
    const due = [...this.#scheduled].filter(([, at]) => at <= Date.now()).map(([id]) => id);
    const unknown = due.filter((id) => !this.#accounts.has(id));
    for (let i = 0; i < unknown.length; i += DATASETS_PER_PAGE) {
      const page = await this.#dependencies.catalog.datasets({ ids: unknown.slice(i, i + DATASETS_PER_PAGE) });
      for (const { id, accountId } of page) this.#accounts.set(id, accountId);
    }
    const begun = new Map<string, Round>();
    for (const id of due) {
      // A dataset that was deleted before it was read has no account.
      const accountId = this.#accounts.get(id) ?? '';
      if (this.#rounds.has(accountId)) continue;
      this.#scheduled.delete(id);
      const round = begun.get(accountId) ?? { waiting: new Set(), done: new Set() };
      begun.set(accountId, round);
      round.waiting.add(id);
    }
    for (const [accountId, round] of begun) this.#rounds.set(accountId, round);
  }

  /** Reconciles the next dataset of the round of an account, or ends the round. */
  async #takeTurn(accountId: string, { waiting, done }: Round): Promise<void> {
    const [id] = waiting;
    if (id === undefined) this.#rounds.delete(accountId);
    else {
      waiting.delete(id);
      await this.#reconcile(id, done);
    }
  }

  async #reconcile(id: string, done: Set<string>): Promise<void> {
    if (done.has(id)) return;
    done.add(id);
    this.#scheduled.delete(id);
    const { catalog, rules, now } = this.#dependencies;
    const [dataset] = await catalog.datasets({ ids: [id] });
    if (dataset === undefined) {
      for (const record of await this.#records()) if (record.dataset_id === id) await this.#unmount(record, 'deleted');
      this.#lastWarnings.delete(id);
      return;
    }
    if (dataset.isLinkedTo && (await this.#belongsToTarget(dataset, done))) return;
    const at = now();
    // A mounted folder stays while its dataset is not READY: the trainer may be using it.
    if (datasetStatusOf(dataset, at, rules) !== 'READY') return;
    const quietAt = lastActivityOf(dataset) + QUIET;
    if (quietAt > at) return this.#schedule(id, (quietAt - at) / 1000);
    // The folders of its controls and its mask are replaced too.
    for (const mounted of [dataset, ...dataset.links.map((link) => link.dataset)]) {
      if (!(await this.#isOldestOfItsName(mounted))) return this.#leaveToOlder(dataset, mounted);
    }
    await this.#mount(dataset);
  }

  /** Folders are named after datasets, whose names are unique within an account only. */
  async #isOldestOfItsName({ id, name }: Pick<Dataset, 'id' | 'name'>): Promise<boolean> {
    const sameName = await this.#dependencies.catalog.datasets({ name });
    return (sameName.at(-1)?.id ?? id) === id;
  }

  /**
   * Reconciles the targets that link to a dataset, which are mounted together with it.
   *
   * @returns whether it is not mounted by itself: one of them is READY, or stands in the root with a state of it
   */
  async #belongsToTarget({ id }: Dataset, done: Set<string>): Promise<boolean> {
    const { catalog, rules, now } = this.#dependencies;
    const ids = (await catalog.links.linkingTo(id, MAX_TARGETS)).map((target) => target.id);
    // The last link may have been removed meanwhile.
    if (ids.length === 0) return false;
    for (const target of ids) await this.#reconcile(target, done);
    const targets = await catalog.datasets({ ids });
    if (targets.some((target) => datasetStatusOf(target, now(), rules) === 'READY')) return true;
    const records = (await this.#records()).filter((record) => ids.includes(record.dataset_id));
    return records.some(({ mounted_with: together = [] }) => together.some(({ dataset_id: each }) => each === id));
  }

  /** Removes the folder that a dataset has under an earlier name, since it will have none under its name. */
  async #leaveToOlder(dataset: Dataset, { id, name }: Pick<Dataset, 'id' | 'name'>): Promise<void> {
    const which = id === dataset.id ? 'this name' : `the name "${name}", which it links to`;
    this.#warnOnce(dataset, `another account has an older dataset of ${which}, so it is not mounted`);
    for (const record of await this.#records()) {
      if (record.dataset_id === dataset.id && record.name !== dataset.name) await this.#unmount(record, 'renamed');
    }
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
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof MountError) return this.#warnOnce(dataset, error.message);
      log.warn({ dataset: dataset.name, err: error }, 'the mount failed and will be tried again');
    }
  }

  async #unmount({ name, digest }: RootRecord, reason: 'deleted' | 'renamed'): Promise<void> {
    const { root, log } = this.#options;
    try {
      await unmountDataset(name, { root, signal: this.#stopping.signal, replaces: false });
      log.info({ dataset: name, digest }, `unmounted, because the dataset was ${reason}`);
      // A dataset of another account may take over the name.
      for (const { id } of await this.#dependencies.catalog.datasets({ name })) this.#schedule(id, 0);
    } catch (error) {
      if (!(error instanceof MountError)) throw error;
      const message = `the dataset was ${reason}, but its folder is kept: ${error.message}`;
      this.#warnOnce({ id: `folder ${name}`, name }, message);
    }
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
