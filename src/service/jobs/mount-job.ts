import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import { datasetStatusOf, lastActivityOf, nextStatusChangeOf } from '../../dataset/pairs/links.js';
import { rowChunksOf } from '../../storage/catalog/rows.js';
import type { ServiceDependencies } from '../dependencies.js';
import { catalogSource } from '../mount/catalog-source.js';
import { mountDataset, unmountDataset } from '../mount/mount.js';
import { recordedFoldersIn } from '../mount/mounted-folder.js';
import type { JobEnd, JobHandler } from './job-runner.js';

/** The pause after a change, so that a series of uploads causes one mount. */
const QUIET: Micros = 2 * MICROS_PER_SECOND;

/** For example while a folder is in the way. */
const LONGEST_RETRY: Micros = 300 * MICROS_PER_SECOND;

/** A database without notifications has gaps again and again. */
const GAP_PAUSE: Micros = 60 * MICROS_PER_SECOND;

/** The id in the job that enqueues all datasets. */
const ALL = '';

type MountDependencies = Pick<ServiceDependencies, 'catalog' | 'blobs' | 'jobs' | 'rules' | 'now'>;

/** Such as a pino logger. */
export interface MountLog {
  readonly info: (details: object, message: string) => void;
  readonly warn: (details: object, message: string) => void;
}

/**
 * Mounts each READY dataset with its controls and its mask after each change, and unmounts it after its deletion. The folder
 * belongs to one machine, so the owners of its jobs are the accounts below the id of the root.
 */
export class MountRoot {
  readonly handler: JobHandler;
  readonly #dependencies: MountDependencies;
  readonly #options: { root: string; dataFolder: string; log: MountLog };
  readonly #owner: string;
  /** When enqueued jobs are due: until then, further changes need no other job. */
  readonly #enqueued = new Map<string, Micros>();
  #stopListening: () => void = () => {};

  constructor(dependencies: MountDependencies, options: { root: string; dataFolder: string; log: MountLog }) {
    this.#dependencies = dependencies;
    this.#options = options;
    const id = createHash('sha256').update(`${hostname()}\n${options.root}`).digest('hex').slice(0, 12);
    this.#owner = `${id}/`;
    this.handler = {
      kind: 'mount',
      atOnce: 1,
      longestRetry: LONGEST_RETRY,
      isFor: (owner) => owner.startsWith(this.#owner),
      run: ({ key }, signal) => this.#run(key.slice(this.#owner.length), signal),
    };
  }

  async start(): Promise<void> {
    const { catalog, now } = this.#dependencies;
    const enqueueLater = (id: string, pause: Micros) => {
      if ((this.#enqueued.get(id) ?? 0) > now()) return;
      const dueAt = now() + pause;
      this.#enqueued.set(id, dueAt);
      this.#enqueue([id], dueAt).catch((err) => {
        this.#enqueued.delete(id);
        this.#options.log.warn({ err }, 'a changed dataset is not mounted before its next change');
      });
    };
    this.#stopListening = catalog.changes.onAnyChange(
      (id, _, captionRun) => captionRun === undefined && enqueueLater(id, QUIET),
      () => enqueueLater(ALL, GAP_PAUSE),
    );
    await this.#enqueue([ALL], now());
  }

  stop(): void {
    this.#stopListening();
  }

  async #enqueue(ids: readonly string[], dueAt = this.#dependencies.now()): Promise<void> {
    const { catalog, jobs } = this.#dependencies;
    for (const chunk of rowChunksOf(ids)) {
      const accounts = new Map((await catalog.records({ ids: chunk })).map(({ id, accountId }) => [id, accountId]));
      const added = chunk.map((id) => {
        const accountId = this.#owner + (accounts.get(id) ?? '');
        return { kind: 'mount' as const, key: this.#owner + id, accountId, dueAt };
      });
      await jobs.add(added);
    }
  }

  async #run(id: string, signal: AbortSignal): Promise<JobEnd> {
    this.#enqueued.delete(id);
    if (id === ALL) return this.#enqueueAll();
    const { catalog, rules, now } = this.#dependencies;
    const [dataset] = await catalog.datasets({ ids: [id] });
    if (dataset === undefined) return this.#unmountDeleted(id, signal);
    if (dataset.isLinkedTo) {
      const targets = await catalog.links.linkingTo(id);
      // It is mounted with them, never by itself.
      await this.#enqueue(targets.map((target) => target.id));
      if (targets.length > 0) return 'done';
    }
    const at = now();
    // A mounted folder stays while its dataset is not READY: the trainer may be using it.
    if (datasetStatusOf(dataset, at, rules) !== 'READY') {
      const changesAt = nextStatusChangeOf(dataset, at, rules);
      return changesAt === undefined ? 'done' : { dueAt: changesAt };
    }
    const quietAt = lastActivityOf(dataset) + QUIET;
    if (quietAt > at) return { dueAt: quietAt };
    const { root, dataFolder, log } = this.#options;
    const folders = await mountDataset(catalogSource({ ...this.#dependencies, dataFolder }, dataset), {
      ...{ root, signal },
      wanted: {},
      replaces: false,
      isNamed: () => false,
      // Accounts may have datasets of one name: the first that is mounted keeps the folder.
      isInUse: async ({ dataset_id, name }) => (await catalog.records({ ids: [dataset_id], name })).length > 0,
      concurrency: 1,
    });
    for (const { outcome, folder, warnings, plan } of folders) {
      const { name, digest } = plan.dataset;
      if (outcome === 'mounted') log.info({ dataset: name, folder, digest, files: plan.files.length }, 'mounted');
      for (const warning of warnings) log.warn({ dataset: name }, warning);
    }
    return 'done';
  }

  async #enqueueAll(): Promise<JobEnd> {
    const datasets = await this.#dependencies.catalog.records({});
    // An empty catalog may stand where the disk of another one is not mounted.
    const records = datasets.length === 0 ? [] : await this.#records();
    const ids = new Set([...datasets.map(({ id }) => id), ...records.map((record) => record.dataset_id)]);
    await this.#enqueue([...ids]);
    return 'done';
  }

  /** @throws MountError `changed` */
  async #unmountDeleted(id: string, signal: AbortSignal): Promise<JobEnd> {
    const { root, log } = this.#options;
    let failure: unknown;
    for (const { name, digest } of (await this.#records()).filter((record) => record.dataset_id === id)) {
      try {
        await unmountDataset(name, { root, signal });
        log.info({ dataset: name, digest }, 'unmounted, because the dataset was deleted');
        // A dataset of another account may take over the name.
        const others = await this.#dependencies.catalog.records({ name });
        await this.#enqueue(others.map((other) => other.id));
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
    return 'done';
  }

  /** The folders that were mounted into this root from this data folder. */
  async #records() {
    const { root, dataFolder } = this.#options;
    return (await recordedFoldersIn(root)).filter(({ source }) => source === dataFolder);
  }
}
