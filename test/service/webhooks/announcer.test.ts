import { expect, onTestFinished, test } from 'vitest';
import { DatasetService } from '../../../src/service/datasets.js';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { Announcer } from '../../../src/service/webhooks/announcer.js';
import type { Catalog } from '../../../src/storage/catalog/catalog.js';
import { type Announcement, Announcements } from '../../../src/storage/catalog/webhooks/announcements.js';
import { Webhooks } from '../../../src/storage/catalog/webhooks/webhooks.js';
import type { Database } from '../../../src/storage/database/database.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { PairedDatasets } from '../../harness/paired-datasets.js';
import { eventually } from '../../harness/server.js';
import { PerTurn } from '../../harness/turns.js';

const DATASETS = 1000;
const MAX_DATASETS_A_TURN = 200;
const EVENTS_PER_TURN = 20;

/** Counts the datasets that are read in each turn of the event loop. */
class ObservedAnnouncements extends Announcements {
  readonly read = new PerTurn();
  writes = 0;
  /** The account of each page. */
  readonly accounts: string[] = [];
  /** The accounts of the events, in their order. */
  readonly recorded: string[] = [];
  /** Called before the first event is recorded. */
  onFirstEvent = async () => {};
  /** How often all datasets were compared. */
  rounds = 0;
  /** Whether the database is away for the next look. */
  isAway = false;

  override async hasWebhooks() {
    if (!this.isAway) return super.hasWebhooks();
    this.isAway = false;
    throw new Error('the database is away');
  }

  override async watchedAfter(...page: Parameters<Announcements['watchedAfter']>) {
    this.accounts.push(page[0].accountId);
    const found = await super.watchedAfter(...page);
    this.read.add(found.datasets.length);
    return found;
  }

  override async deletedAfter(after: string, limit: number) {
    this.read.add(limit);
    const page = await super.deletedAfter(after, limit);
    if (page.last === null) this.rounds++;
    return page;
  }

  override async record(...event: Parameters<Announcements['record']>) {
    if (this.recorded.push(event[0].accountId) === 1) await this.onFirstEvent();
    return super.record(...event);
  }

  override async begin(announcements: readonly Announcement[]) {
    if (announcements.length > 0) this.writes++;
    return super.begin(announcements);
  }
}

async function addHook(database: Database, accountId: string, id = 'hook'): Promise<void> {
  const hook = { id, accountId, url: 'https://queue.example/', secret: 'whsec_', createdAt: 100 };
  await new Webhooks(database).add({ ...hook, events: ['dataset.deleted', 'dataset.failed'], disabledAt: null }, 1);
}

/** An announcer of datasets that were changed last before the webhooks were made. */
function start({ catalog, database }: { catalog: Catalog; database: Database }) {
  const announcements = new ObservedAnnouncements(database);
  const errors: unknown[] = [];
  let ids = 0;
  const rules = { captionGrace: 0 };
  const parts = { catalog, now: () => 1_000_000, newId: () => `${ids++}`, rules };
  const dependencies = parts as unknown as ServiceDependencies;
  const announcer = new Announcer(dependencies, {
    announcements,
    datasets: new DatasetService(dependencies),
    toWire: () => ({}),
    onRecorded: () => {},
    onError: (error) => errors.push(error),
  });
  onTestFinished(() => announcer.stop());
  announcer.start();
  return { announcements, announcer, errors };
}

onEach(catalogs, (open) => {
  test('requests have a turn after each 200 of many watched datasets; what was missed is still announced', async () => {
    const { accountId, catalog, database } = await open();
    const { query } = database;
    await catalog.createDataset({ id: 'template', accountId, name: 'template', createdAt: 1 });
    const template = await query.selectFrom('dataset').selectAll().executeTakeFirstOrThrow();
    for (let from = 0; from < DATASETS - 1; from += 333) {
      const rows = Array.from({ length: 333 }, (_, i) => ({ ...template, id: `d${from + i}`, name: `d${from + i}` }));
      await query.insertInto('dataset').values(rows).execute();
    }
    await addHook(database, accountId);
    const { announcements, announcer, errors } = start({ catalog, database });
    const known = async () => {
      const count = query.selectFrom('announcement').select(({ fn }) => fn.countAll<number>().as('count'));
      return (await count.executeTakeFirstOrThrow()).count;
    };
    await eventually(async () => ((await known()) === DATASETS ? true : undefined));
    expect(announcements.writes).toBe(DATASETS / MAX_DATASETS_A_TURN);

    await query.deleteFrom('dataset').where('id', 'like', 'd7%').execute();
    const left = (await query.selectFrom('dataset').select('id').execute()).length;
    announcer.compareAll();
    await eventually(async () => ((await known()) === left ? true : undefined));
    expect(announcements.read.max).toBeLessThanOrEqual(MAX_DATASETS_A_TURN);
    const sent = await query.selectFrom('webhook_delivery').select('event').distinct().execute();
    expect([sent, errors]).toEqual([[{ event: 'dataset.deleted' }], []]);
  });

  test('after a webhook was added, the datasets of its account are compared, and not those of all', async () => {
    const { accounts, accountId, catalog, database } = await open();
    const { token } = await accounts.createToken('other', 1);
    const other = (await accounts.grantOf(token))!.accountId;
    await addHook(database, accountId);
    const { announcements, announcer, errors } = start({ catalog, database });
    await eventually(() => (announcements.rounds === 1 ? true : undefined));
    await catalog.createDataset({ id: 'cats', accountId: other, name: 'cats', createdAt: 1 });
    await addHook(database, other, 'another');
    announcements.accounts.length = 0;
    announcer.compareAccount(other);
    const known = () =>
      database.query
        .selectFrom('announcement')
        .select('account_id')
        .where('dataset_id', '=', 'cats')
        .executeTakeFirst();
    expect(await eventually(known)).toEqual({ account_id: other });
    await eventually(() => (announcements.accounts.length > 1 ? true : undefined));
    expect(new Set(announcements.accounts)).toEqual(new Set([other]));
    expect([announcements.rounds, errors]).toEqual([1, []]);
  });

  test('a deletion is announced soon after a failure of the database, also if that was before the first read', async () => {
    const { accountId, catalog, database } = await open();
    await addHook(database, accountId);
    await catalog.createDataset({ id: 'dogs', accountId, name: 'dogs', createdAt: 1 });
    const { announcements, errors } = start({ catalog, database });
    await eventually(() => (announcements.rounds === 1 ? true : undefined));
    announcements.isAway = true;
    await catalog.deleteDataset({ accountId, id: 'dogs' }, 5);
    const sent = () => database.query.selectFrom('webhook_delivery').select('event').executeTakeFirst();
    expect(await eventually(sent)).toEqual({ event: 'dataset.deleted' });
    expect(errors).toHaveLength(1);
  });

  test('one change of a control causes events of many datasets, and an event of another account comes between them', async () => {
    const { accounts, accountId, catalog, database } = await open();
    const { token } = await accounts.createToken('other', 1);
    const other = (await accounts.grantOf(token))!.accountId;
    const pairs = new PairedDatasets({ catalog, accountId });
    const control = await pairs.create('control');
    await pairs.put(control, ['a.jpg']);
    const targets = 3 * EVENTS_PER_TURN;
    for (let i = 0; i < targets; i++) {
      const id = await pairs.create('training');
      await pairs.put(id, ['a.jpg', 'a.txt']);
      await pairs.link(id, { control_1: control });
    }
    await catalog.createDataset({ id: 'cats', accountId: other, name: 'cats', createdAt: 1 });
    await addHook(database, accountId);
    await addHook(database, other, 'another');
    const { announcements, errors } = start({ catalog, database });
    await eventually(() => (announcements.rounds === 1 ? true : undefined));
    announcements.onFirstEvent = async () => {
      await catalog.deleteDataset({ accountId: other, id: 'cats' }, 70);
    };
    await pairs.remove(control, 'a.jpg');
    await eventually(() => (announcements.recorded.length > targets ? true : undefined));
    // The turn that has begun, and the next one.
    expect(announcements.recorded.indexOf(other)).toBeLessThanOrEqual(2 * EVENTS_PER_TURN);
    const failed = () =>
      database.query
        .selectFrom('webhook_delivery')
        .select('dataset_id')
        .where('event', '=', 'dataset.failed')
        .execute();
    await eventually(async () => ((await failed()).length === targets ? true : undefined));
    expect(new Set((await failed()).map(({ dataset_id }) => dataset_id)).size).toBe(targets);
    expect(errors).toEqual([]);
  });
});
