import type { Dataset, Micros } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { datasetStatusOf, lastActivityOf, nextStatusChangeOf } from '../../dataset/pairs/linked-status.js';
import type { DatasetKeyOfAccount } from '../../storage/catalog/dataset-changes.js';
import type {
  Announcement,
  Announcements,
  EventToRecord,
  WatchedAccount,
  WatchedDataset,
} from '../../storage/catalog/webhooks/announcements.js';
import type { DatasetView } from '../dataset-view.js';
import type { DatasetService } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import { runOnWake, type WakeableLoop } from '../run-on-wake.js';
import { deletedPayload, readyOrFailedPayload } from './payloads.js';

/** Datasets that are read at once. SQLite is read on the thread that answers requests, which have a turn after each page. */
const PAGE_DATASETS = 200;

/** Events of an account that are recorded in its turn, each in a durable transaction. */
const EVENTS_PER_TURN = 20;

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

/** A dataset that has another status than was announced, or other files. */
interface DatasetToAnnounce {
  readonly dataset: Dataset;
  readonly known: Announcement;
  readonly status: 'READY' | 'FAILED';
}

/**
 * Records events for webhooks when the status of a dataset differs from what was announced last. Nothing is done where a
 * dataset changes: it looks at those that the feed of changes names, at those whose status time may have changed, and at all of
 * them at the start. So a crash loses no event. Each process does this, and the first one records the event. In a round, each
 * account has one turn, so that thousands of events of one account delay those of others by a few at a time.
 */
export class Announcer {
  readonly #dependencies: ServiceDependencies;
  readonly #options: AnnouncerOptions;
  readonly #changed = new Set<string>();
  /** Accounts that have got a webhook. */
  readonly #added = new Set<string>();
  /** When a dataset is to be looked at again, by its id. */
  readonly #due = new Map<string, { accountId: string; at: Micros }>();
  /** The ids of the datasets to look at now, by account. */
  readonly #waiting = new Map<string, Set<string>>();
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

  /** Looks at the datasets of an account soon, and returns at once. */
  compareAccount(accountId: string): void {
    this.#added.add(accountId);
    this.#loop?.wake();
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
    const added = [...this.#added];
    this.#added.clear();
    try {
      if (!(await announcements.hasWebhooks())) {
        this.#due.clear();
        this.#waiting.clear();
        return COMPARE_ALL_MS;
      }
      if (performance.now() - this.#comparedAllAt >= COMPARE_ALL_MS) await this.#compareAllNow();
      else {
        if (added.length > 0) await this.#compareAccounts(await announcements.watchedAccounts(added));
        for (const dataset of await announcements.changedBy(changed)) this.#wait(dataset);
        const at = this.#dependencies.now();
        for (const [id, { accountId, at: due }] of this.#due) if (due <= at) this.#wait({ accountId, id });
      }
      for (const accountId of [...this.#waiting.keys()]) {
        if (this.#isStopping) break;
        await this.#takeTurn(this.#nextPage(accountId));
      }
    } catch (error) {
      this.#comparedAllAt = Number.NEGATIVE_INFINITY;
      this.#options.onError(error, 'recording events of webhooks failed; it will be retried');
      return RETRY_MS;
    }
    if (this.#waiting.size > 0) return 0;
    let next = Number.POSITIVE_INFINITY;
    for (const { at } of this.#due.values()) next = Math.min(next, at);
    return (next - this.#dependencies.now()) / 1000;
  }

  #wait({ accountId, id }: DatasetKeyOfAccount): void {
    this.#due.delete(id);
    const ids = this.#waiting.get(accountId);
    if (ids === undefined) this.#waiting.set(accountId, new Set([id]));
    else ids.add(id);
  }

  /** Removes the datasets that an account looks at in its turn. */
  #nextPage(accountId: string): string[] {
    const page: string[] = [];
    const ids = this.#waiting.get(accountId) ?? new Set();
    for (const id of ids) {
      if (page.length === PAGE_DATASETS) return page;
      page.push(id);
      ids.delete(id);
    }
    this.#waiting.delete(accountId);
    return page;
  }

  async #compareAllNow(): Promise<void> {
    this.#comparedAllAt = performance.now();
    this.#due.clear();
    const { announcements } = this.#options;
    await this.#compareAccounts(await announcements.watchedAccounts());
    const readDeleted = (after: string) => announcements.deletedAfter(after, PAGE_DATASETS);
    for await (const { deleted } of this.#pagesOf(readDeleted)) for (const dataset of deleted) this.#wait(dataset);
  }

  async #compareAccounts(accounts: readonly WatchedAccount[]): Promise<void> {
    const { announcements } = this.#options;
    for (const account of accounts) {
      const read = (after: string) => announcements.watchedAfter(account, { after, limit: PAGE_DATASETS });
      for await (const { datasets } of this.#pagesOf(read)) {
        for (const { dataset } of await this.#look(datasets)) this.#wait(dataset);
      }
    }
  }

  /** Reads pages until the one after the last. */
  async *#pagesOf<Page extends { readonly last: string | null }>(
    read: (after: string) => Promise<Page>,
  ): AsyncGenerator<Page> {
    for (let after: string | null = ''; after !== null && !this.#isStopping; ) {
      const page: Page = await read(after);
      yield page;
      after = page.last;
    }
  }

  /** Looks at some datasets of an account, and records a few events. Those with more events wait for its next turn. */
  async #takeTurn(page: readonly string[]): Promise<void> {
    const { announcements } = this.#options;
    let left = EVENTS_PER_TURN;
    for (const found of await this.#look(await announcements.watched(page))) {
      if (this.#isStopping) return;
      if (left-- > 0) await this.#announce(found);
      else this.#wait(found.dataset);
    }
    for (const known of await announcements.ofDeleted(page)) {
      if (this.#isStopping) return;
      if (left-- > 0) await this.#announceDeleted(known);
      else this.#wait({ accountId: known.accountId, id: known.datasetId });
    }
  }

  /** @returns the datasets whose status is to be announced */
  async #look(page: readonly WatchedDataset[]): Promise<DatasetToAnnounce[]> {
    const { announcements } = this.#options;
    const looked = page.map((watched) => ({ ...watched, known: watched.announcement ?? this.#beginningOf(watched) }));
    await announcements.begin(
      looked.filter(({ announcement }) => announcement === undefined).map(({ known }) => known),
    );
    return looked.flatMap(({ dataset, known }) => {
      const status = this.#dueStatus(dataset, known);
      return status === undefined ? [] : [{ dataset, known, status }];
    });
  }

  /** The status to announce; `undefined` without one, or if it may be announced later. */
  #dueStatus(dataset: Dataset, known: Announcement): 'READY' | 'FAILED' | undefined {
    const { now, rules } = this.#dependencies;
    const at = now();
    const status = datasetStatusOf(dataset, at, rules);
    const next = nextStatusChangeOf(dataset, at, rules);
    if (next !== undefined) this.#due.set(dataset.id, { accountId: dataset.accountId, at: next });
    if (status !== 'READY' && status !== 'FAILED') return undefined;
    const isSeen = status === 'FAILED' || known.seenAt === lastActivityOf(dataset);
    if (known.status === status && isSeen) return undefined;
    // Files that follow in quick succession are one event.
    const quietAt = lastActivityOf(dataset) + rules.captionGrace;
    if (at >= quietAt) return status;
    this.#due.set(dataset.id, { accountId: dataset.accountId, at: quietAt });
    return undefined;
  }

  /** The state of a dataset when the first webhook was created is not an event. */
  #beginningOf({ dataset, since }: WatchedDataset): Announcement {
    const { id, accountId, name } = dataset;
    const seenAt = lastActivityOf(dataset);
    const then = seenAt <= since ? datasetStatusOf(dataset, since, this.#dependencies.rules) : undefined;
    const status = then === 'READY' || then === 'FAILED' ? then : null;
    return { datasetId: id, accountId, name, status, digest: null, seenAt, announcedAt: 0 };
  }

  async #announce({ dataset: { id, accountId }, known, status }: DatasetToAnnounce): Promise<void> {
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
    const next = this.#nextAfter(known);
    const payload = readyOrFailedPayload(view, { at: next.at, toWire });
    const event = { event: status === 'READY' ? 'dataset.ready' : 'dataset.failed', payload, ...next } as const;
    if (await announcements.record(known, { status, digest, seenAt }, event)) this.#options.onRecorded();
  }

  async #announceDeleted(known: Announcement): Promise<void> {
    const next = this.#nextAfter(known);
    const event = { event: 'dataset.deleted', payload: deletedPayload(known, next.at), ...next } as const;
    if (await this.#options.announcements.record(known, 'deleted', event)) this.#options.onRecorded();
  }

  /** An event is due now. Its time is later than that of the last one of the dataset, which a clock that is ahead may have. */
  #nextAfter({ announcedAt }: Announcement): Pick<EventToRecord, 'at' | 'dueAt' | 'newId'> {
    const { now, newId } = this.#dependencies;
    const dueAt = now();
    return { at: Math.max(dueAt, announcedAt + 1), dueAt, newId: messageId(newId) };
  }
}

/** Makes the ids of deliveries, which are the `webhook-id` of their requests. */
export function messageId(newId: () => string): () => string {
  return () => `msg_${newId()}`;
}
