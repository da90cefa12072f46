import type { Dataset, Micros } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { datasetStatusOf, lastActivityOf, nextStatusChangeOf } from '../../dataset/pairs/linked-status.js';
import type { Announcement, Announcements, WatchedDataset } from '../../storage/catalog/webhooks/announcements.js';
import type { DatasetService, DatasetView } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import { runOnWake, type WakeableLoop } from '../run-on-wake.js';
import { deletedPayload, readyOrFailedPayload } from './payloads.js';

/** Datasets that are read at once. */
const PAGE_DATASETS = 500;

/** From the first change to the round that takes it, so that an upload of thousands of files causes only a few rounds. */
const PAUSE_MS = 250;

/** All datasets of accounts with webhooks are compared this often, in case that a notification was lost. */
const COMPARE_ALL_MS = 60_000;

/** After a failure, until the database answers again. */
const RETRY_MS = 2000;

export interface AnnouncerOptions {
  readonly announcements: Announcements;
  readonly datasets: DatasetService;
  /** The dataset as answers of the API have it; `problems` is the most that it lists. */
  readonly toWire: (view: DatasetView, problems: number) => object;
  /** Events were recorded. */
  readonly onRecorded: () => void;
  readonly onError: (error: unknown, failure: string) => void;
}

/**
 * Records events for webhooks when the status of a dataset differs from what was announced last. Nothing is done where a
 * dataset changes: it looks at those that the feed of changes names, at those whose status time may have changed, and at all of
 * them at the start. So a crash loses no event. Each process does this, and the first one records the event.
 */
export class Announcer {
  readonly #dependencies: ServiceDependencies;
  readonly #options: AnnouncerOptions;
  readonly #changed = new Set<string>();
  /** When a dataset is to be looked at again, by its id. */
  readonly #due = new Map<string, Micros>();
  #comparedAllAt = Number.NEGATIVE_INFINITY;
  #loop: WakeableLoop | undefined;
  #unsubscribe = () => {};
  #isStopping = false;

  constructor(dependencies: ServiceDependencies, options: AnnouncerOptions) {
    this.#dependencies = dependencies;
    this.#options = options;
  }

  start(): void {
    this.#unsubscribe = this.#dependencies.catalog.changes.onAnyChange(
      (id) => {
        if (this.#changed.add(id).size === 1) setTimeout(() => this.#loop?.wake(), PAUSE_MS).unref();
      },
      () => this.compareAll(),
    );
    const onError = (error: unknown) => this.#options.onError(error, 'looking for events of webhooks failed');
    this.#loop = runOnWake(() => this.#run(), { pauseMs: COMPARE_ALL_MS, onError });
  }

  /** Looks at all datasets soon, and returns at once. */
  compareAll(): void {
    this.#comparedAllAt = Number.NEGATIVE_INFINITY;
    this.#loop?.wake();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#unsubscribe();
    await this.#loop?.stop();
  }

  /** @returns milliseconds until the next round */
  async #run(): Promise<number> {
    const { announcements } = this.#options;
    const changed = [...this.#changed];
    this.#changed.clear();
    if (!(await announcements.hasWebhooks())) {
      this.#due.clear();
      return COMPARE_ALL_MS;
    }
    const at = this.#dependencies.now();
    for (const [id, due] of this.#due) if (due <= at) changed.push(id);
    try {
      if (performance.now() - this.#comparedAllAt >= COMPARE_ALL_MS) await this.#compareAllNow();
      else await this.#compare([...new Set([...changed, ...(await announcements.linkingTo(changed))])]);
    } catch (error) {
      this.#comparedAllAt = Number.NEGATIVE_INFINITY;
      this.#options.onError(error, 'recording events of webhooks failed; it will be retried');
      return RETRY_MS;
    }
    let next = Number.POSITIVE_INFINITY;
    for (const due of this.#due.values()) next = Math.min(next, due);
    return (next - this.#dependencies.now()) / 1000;
  }

  async #compareAllNow(): Promise<void> {
    this.#comparedAllAt = performance.now();
    this.#due.clear();
    for (let after = ''; !this.#isStopping; ) {
      const page = await this.#options.announcements.watchedAfter(after, PAGE_DATASETS);
      for (const watched of page) await this.#look(watched);
      after = page.at(-1)?.dataset.id ?? after;
      if (page.length < PAGE_DATASETS) break;
    }
    await this.#announceDeleted();
  }

  async #compare(ids: readonly string[]): Promise<void> {
    for (let i = 0; i < ids.length && !this.#isStopping; i += PAGE_DATASETS) {
      const page = ids.slice(i, i + PAGE_DATASETS);
      for (const id of page) this.#due.delete(id);
      for (const watched of await this.#options.announcements.watched(page)) await this.#look(watched);
      await this.#announceDeleted(page);
    }
  }

  async #look({ dataset, since, announcement }: WatchedDataset): Promise<void> {
    if (this.#isStopping) return;
    const known = announcement ?? (await this.#begin(dataset, since));
    const { now, rules } = this.#dependencies;
    const at = now();
    const status = datasetStatusOf(dataset, at, rules);
    const next = nextStatusChangeOf(dataset, at, rules);
    if (next !== undefined) this.#due.set(dataset.id, next);
    if (status !== 'READY' && status !== 'FAILED') return;
    const isSeen = status === 'FAILED' || known.seenAt === lastActivityOf(dataset);
    if (known.status === status && isSeen) return;
    // Files that follow in quick succession are one event.
    const quietAt = lastActivityOf(dataset) + rules.captionGrace;
    if (at < quietAt) this.#due.set(dataset.id, quietAt);
    else await this.#announce(dataset, known, status);
  }

  /** What a dataset was when the first webhook was made is no event. */
  async #begin(dataset: Dataset, since: Micros): Promise<Announcement> {
    const { id, accountId, name } = dataset;
    const seenAt = lastActivityOf(dataset);
    const then = seenAt <= since ? datasetStatusOf(dataset, since, this.#dependencies.rules) : undefined;
    const status = then === 'READY' || then === 'FAILED' ? then : null;
    const begun = { datasetId: id, accountId, name, status, digest: null, seenAt, announcedAt: 0 };
    await this.#options.announcements.begin(begun);
    return begun;
  }

  async #announce({ id, accountId }: Dataset, known: Announcement, status: 'READY' | 'FAILED'): Promise<void> {
    const { announcements, datasets, toWire } = this.#options;
    const view = await datasets.view({ accountId, id }).catch((error) => {
      // The change of a dataset that is deleted meanwhile is in the feed.
      if (error instanceof ServiceError && error.code === 'dataset_not_found') return undefined;
      throw error;
    });
    // Another status is in the feed, too.
    if (view === undefined || view.status !== status) return;
    const seenAt = lastActivityOf(view.dataset);
    const digest = view.digest ?? null;
    if (known.status === status && known.digest === digest) return announcements.markSeen(known, seenAt);
    const at = this.#timeAfter(known);
    const payload = readyOrFailedPayload(view, { at, toWire });
    const { newId } = this.#dependencies;
    const event = status === 'READY' ? 'dataset.ready' : 'dataset.failed';
    const after = { ...known, status, digest, seenAt };
    if (await announcements.record(known, after, { event, at, payload, newId: messageId(newId) })) {
      this.#options.onRecorded();
    }
  }

  async #announceDeleted(ids?: readonly string[]): Promise<void> {
    const { announcements, onRecorded } = this.#options;
    while (!this.#isStopping) {
      const deleted = await announcements.ofDeleted({ ...(ids && { ids }), limit: PAGE_DATASETS });
      for (const known of deleted) {
        const at = this.#timeAfter(known);
        const newId = messageId(this.#dependencies.newId);
        const event = { event: 'dataset.deleted', at, payload: deletedPayload(known, at), newId } as const;
        if (await announcements.record(known, 'deleted', event)) onRecorded();
      }
      if (deleted.length < PAGE_DATASETS) return;
    }
  }

  /** Now, and later than the last event of the dataset, which another process may have recorded with its clock. */
  #timeAfter({ announcedAt }: Announcement): Micros {
    return Math.max(this.#dependencies.now(), announcedAt + 1);
  }
}

/** Makes the ids of deliveries, which are the `webhook-id` of their requests. */
export function messageId(newId: () => string): () => string {
  return () => `msg_${newId()}`;
}
