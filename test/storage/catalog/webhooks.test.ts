import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { copyCatalog, haveSameRows } from '../../../src/storage/catalog/copy-catalog.js';
import { Announcements } from '../../../src/storage/catalog/webhooks/announcements.js';
import {
  type Attempt,
  Deliveries,
  type Delivery,
  KEPT_DELIVERIES,
} from '../../../src/storage/catalog/webhooks/deliveries.js';
import { Webhooks } from '../../../src/storage/catalog/webhooks/webhooks.js';
import type { Database } from '../../../src/storage/database/database.js';
import { openSqlite } from '../../../src/storage/database/sqlite.js';
import { whyNoPostgres } from '../../harness/available.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { pausedBeforeCommit, untilLockWait } from '../../harness/paused-database.js';
import { planOf } from '../../harness/query-plans.js';
import { temporaryFolder } from '../../harness/server.js';

onEach(catalogs, (open) => {
  const openWebhook = async () => {
    const { accountId, database } = await open();
    const [webhooks, deliveries] = [new Webhooks(database), new Deliveries(database)];
    const webhook = { id: 'hook', accountId, url: 'https://queue.example/', secret: 'whsec_', createdAt: 1 };
    await webhooks.add({ ...webhook, events: ['dataset.ready'], disabledAt: null }, 1);
    const add = (id: string, datasetId: string | null, createdAt: number, dueAt = createdAt) =>
      deliveries.add({ id, webhookId: 'hook', datasetId, event: 'dataset.ready', payload: '{}', createdAt, dueAt });
    const due = async (now: number) => (await deliveries.due('hook', now)) as Delivery;
    // Expired, so that others can acquire it.
    await deliveries.acquire({ webhookId: 'hook', token: 'holder' }, { expiredBy: 0, until: 0 });
    const record = (delivery: Delivery, attempt: Attempt) => deliveries.record({ delivery, token: 'holder' }, attempt);
    return { accountId, database, webhooks, deliveries, add, due, record };
  };

  const DELIVERED = { at: 50, answer: 200, error: null, nextAt: null };
  const retryAt = (nextAt: number) => ({ at: 50, answer: 500, error: 'failed', nextAt });

  test('events of a dataset are due in their order, those of others meanwhile', async () => {
    const { accountId, deliveries, add, due, record } = await openWebhook();
    await add('a1', 'a', 10);
    await add('a2', 'a', 20);
    await add('b1', 'b', 30);
    expect((await due(40)).id).toBe('a1');
    await record(await due(40), retryAt(100));
    expect((await due(60)).id).toBe('b1');
    await record(await due(60), DELIVERED);
    expect(await due(99)).toBeUndefined();
    expect(await deliveries.waitingAccounts()).toEqual([{ accountId, nextAt: 100 }]);
    expect(await deliveries.waitingOf([accountId])).toMatchObject([{ id: 'hook', nextAt: 100 }]);
    // A new event makes the earlier ones due before it.
    await add('a3', 'a', 70);
    const order: string[] = [];
    for (let next = await due(80); next !== undefined; next = await due(80)) {
      order.push(next.id);
      await record(next, DELIVERED);
    }
    expect(order).toEqual(['a1', 'a2', 'a3']);
    expect(await deliveries.waitingAccounts()).toEqual([]);
  });

  test('the last deliveries of a webhook are kept, and one holder sends them', async () => {
    const { deliveries, add } = await openWebhook();
    for (let i = 1; i <= KEPT_DELIVERIES + 2; i++) await add(`d${i}`, null, i);
    const kept = await deliveries.list('hook');
    expect([kept.length, kept[0]?.id, kept.at(-1)?.id]).toEqual([KEPT_DELIVERIES, 'd102', 'd3']);
    const [one, two] = ['one', 'two'].map((token) => ({ webhookId: 'hook', token }));
    expect(await deliveries.acquire(one!, { expiredBy: 10, until: 20 })).toMatchObject({ id: 'hook' });
    expect(await deliveries.acquire(two!, { expiredBy: 19, until: 30 })).toBeUndefined();
    expect(await deliveries.acquire(two!, { expiredBy: 20, until: 30 })).toBeDefined();
    expect(await deliveries.renew(one!, 40)).toBe(false);
    expect(await deliveries.renew(two!, null)).toBe(true);
  });

  test('one that waits is kept, however many others end after it, and however far a clock was ahead of it', async () => {
    const { deliveries, add, due, record } = await openWebhook();
    await add('waits', 'a', 1);
    await record(await due(1), retryAt(10_000));
    for (let i = 1; i <= KEPT_DELIVERIES; i++) {
      await add(`d${i}`, null, 5000 + i, 10);
      await record(await due(10), DELIVERED);
    }
    // The clock was ahead, and the server has been started again.
    await add('after the clock was set back', 'b', 20);
    expect((await due(20)).id).toBe('after the clock was set back');
    const kept = (await deliveries.list('hook')).map(({ id }) => id);
    expect([kept.length, kept.slice(-2)]).toEqual([KEPT_DELIVERIES + 2, ['after the clock was set back', 'waits']]);
    await add('next', 'a', 6000, 30);
    expect((await due(30)).id).toBe('after the clock was set back');
    await record(await due(30), DELIVERED);
    expect((await due(30)).id).toBe('waits');
  });

  test('a process that has lost the lease while it sent a delivery records nothing', async () => {
    const { deliveries, add, due, record } = await openWebhook();
    await add('a1', 'a', 10);
    await add('a2', 'a', 20);
    const inFlight = await due(30);
    await deliveries.acquire({ webhookId: 'hook', token: 'other' }, { expiredBy: 30, until: 90 });
    const records = async () => deliveries.record({ delivery: await due(30), token: 'other' }, DELIVERED);
    expect([await records(), await records()]).toEqual([true, true]);
    const delivered = await deliveries.list('hook');
    expect(await record(inFlight, retryAt(70))).toBe(false);
    expect(await deliveries.list('hook')).toEqual(delivered);
  });

  test.each([
    ['failed for good', { at: 50, answer: 410, error: 'gone', nextAt: null }],
    ['failed', retryAt(100)],
    ['succeeded', DELIVERED],
  ])('a delivery that was made due again while its last attempt %s has new attempts', async (_, outcome) => {
    const { deliveries, add, due, record } = await openWebhook();
    await add('a1', 'a', 10);
    await record(await due(10), retryAt(20));
    const inFlight = await due(20);
    await deliveries.resend({ webhookId: 'hook', id: 'a1' }, 40);
    expect(await record(inFlight, outcome)).toBe(true);
    expect(await due(40)).toMatchObject({ id: 'a1', attempts: 0, nextAt: 40, deliveredAt: null });
  });

  test('of two processes that notice an event, one records it; a copy of the catalog has it', async () => {
    const { accountId, database, deliveries } = await openWebhook();
    const announcements = new Announcements(database);
    const known = { datasetId: 'a', accountId, name: 'dogs', status: null, digest: null, seenAt: 5, announcedAt: 0 };
    await announcements.begin([known]);
    const after = { ...known, status: 'READY', digest: 'd', seenAt: 6 } as const;
    const event = (id: string) =>
      ({ event: 'dataset.ready', at: 7, dueAt: 7, payload: '{}', newId: () => id }) as const;
    const recorded = await Promise.all(['m1', 'm2'].map((id) => announcements.record(known, after, event(id))));
    expect(recorded.sort()).toEqual([false, true]);
    expect(await deliveries.list('hook')).toHaveLength(1);
    const folder = await temporaryFolder();
    const copy = await openSqlite(join(folder, 'catalog.sqlite'));
    onTestFinished(async () => {
      await copy.close();
      await rm(folder, { recursive: true });
    });
    const rows = { find: async () => new Map(), isSameStore: true, lost: new Map() };
    await copyCatalog(database, copy, { ...rows, signal: new AbortController().signal });
    expect(await haveSameRows(database, copy)).toBe(true);
    expect(await new Deliveries(copy).list('hook')).toEqual(await deliveries.list('hook'));
  });

  /** A webhook, and what was announced of many datasets. */
  const openAnnounced = async () => {
    const opened = await openWebhook();
    const { accountId, database } = opened;
    const announcements = new Announcements(database);
    const state = { accountId, name: 'dogs', status: null, digest: null, seenAt: 5, announcedAt: 0 };
    const begin = (...datasetIds: string[]) =>
      announcements.begin(datasetIds.map((datasetId) => ({ ...state, datasetId })));
    await begin(...Array.from({ length: 450 }, (_, i) => `d${i}`));
    const left = async () => {
      const rows = await database.query.selectFrom('announcement').select('dataset_id').execute();
      return rows.map((row) => row.dataset_id);
    };
    const another = { id: 'another', accountId, url: 'https://queue.example/', secret: 'whsec_', createdAt: 2 };
    const addAnother = () =>
      opened.webhooks.add({ ...another, events: ['dataset.ready'] as const, disabledAt: null }, 2);
    /** A database that calls `before` with the number of each transaction. */
    const observed = (before: (number: number) => Promise<unknown>): Database => {
      let number = 0;
      return {
        ...database,
        transact: async (options, work) => {
          await before(++number);
          return database.transact(options, work);
        },
      };
    };
    return { ...opened, begin, left, addAnother, observed };
  };

  test('what was announced is deleted with the last webhook, not before', async () => {
    const { accountId, webhooks, left, addAnother } = await openAnnounced();
    await addAnother();
    const removed = [];
    for (const id of ['nope', 'hook', 'another']) {
      removed.push([await webhooks.remove({ accountId, id }), (await left()).length]);
    }
    expect(removed).toEqual([
      [false, 450],
      [true, 450],
      [true, 0],
    ]);
  });

  test('a webhook that is added while this is deleted begins anew, and keeps what is announced then', async () => {
    const { accountId, begin, left, addAnother, observed } = await openAnnounced();
    const removing = new Webhooks(
      observed(async (number) => {
        // The first transaction deletes the webhook, and the second one a part of what was announced.
        if (number !== 3) return;
        expect((await left()).length).toBe(250);
        expect(await addAnother()).toBe(true);
        expect(await left()).toEqual([]);
        await begin('d0');
      }),
    );
    expect(await removing.remove({ accountId, id: 'hook' })).toBe(true);
    expect(await left()).toEqual(['d0']);
  });

  test('what a failure has left of it is deleted before the next webhook is added', async () => {
    const { accountId, left, addAnother, observed } = await openAnnounced();
    const failing = new Webhooks(
      observed((number) => (number === 3 ? Promise.reject(new Error('the database is away')) : Promise.resolve())),
    );
    expect(await failing.remove({ accountId, id: 'hook' })).toBe(true);
    expect((await left()).length).toBe(250);
    expect(await addAnother()).toBe(true);
    expect(await left()).toEqual([]);
  });

  test('it is found by an index', async () => {
    const { accountId, database } = await openAnnounced();
    const plans: Promise<string>[] = [];
    const observed: Database = {
      ...database,
      transact: (options, work) =>
        database.transact(options, ({ send, commit }) =>
          work({
            send: (statements) => {
              for (const each of statements.map((statement) => statement.compile())) {
                if (each.sql.includes('announcement')) plans.push(planOf(database, each));
              }
              return send(statements);
            },
            commit,
          }),
        ),
    };
    await new Webhooks(observed).remove({ accountId, id: 'hook' });
    expect(plans.length).toBe(3);
    for (const plan of plans) expect(await plan).toContain('announcement_account');
  });

  test('a delivery of a webhook that was deleted is not added', async () => {
    const { accountId, webhooks, deliveries } = await openWebhook();
    expect(await webhooks.remove({ accountId, id: 'hook' })).toBe(true);
    const event = { datasetId: null, event: 'webhook.test', payload: '{}', createdAt: 1, dueAt: 1 } as const;
    expect(await deliveries.add({ id: 'd1', webhookId: 'hook', ...event })).toBe(false);
  });

  test('an event that is recorded while the dataset is renamed keeps the new name for that of its deletion', async () => {
    const { catalog, accountId, database } = await open();
    const announcements = new Announcements(database);
    const key = { accountId, id: 'a' };
    await catalog.createDataset({ ...key, name: 'dogs', createdAt: 1 });
    const state = { status: null, digest: null, seenAt: 5 };
    const before = { datasetId: 'a', accountId, name: 'dogs', ...state, announcedAt: 0 };
    await announcements.begin([before]);
    await catalog.changeDataset(key, { name: 'cats' }, 6);
    const event = { event: 'dataset.ready', at: 7, dueAt: 7, payload: '{}', newId: () => 'm1' } as const;
    expect(await announcements.record(before, { ...before, status: 'READY', digest: 'd', seenAt: 6 }, event)).toBe(
      true,
    );
    await catalog.deleteDataset(key, 8);
    const expected = { name: 'cats', status: 'READY', digest: 'd', seenAt: 6, announcedAt: 7 };
    expect(await announcements.ofDeleted(['a'])).toMatchObject([expected]);
  });
});

describe.skipIf(whyNoPostgres() !== undefined)('on Postgres, concurrently', () => {
  const openTwo = async () => {
    const { accountId, database, openAnother } = await catalogs.find(({ name }) => name === 'Postgres')!.open();
    const { database: beside } = await openAnother();
    return { accountId, database, beside };
  };

  test('a webhook that is deleted while an event is recorded is no error', async () => {
    const { accountId, database, beside } = await openTwo();
    const webhook = { accountId, url: 'https://queue.example/', secret: 'whsec_', createdAt: 1, disabledAt: null };
    for (const id of ['hook', 'other']) {
      await new Webhooks(database).add({ ...webhook, id, events: ['dataset.ready'] }, 2);
    }
    const known = { datasetId: 'a', accountId, name: 'dogs', status: null, digest: null, seenAt: 5, announcedAt: 0 };
    await new Announcements(database).begin([known]);
    let removal: Promise<boolean> | undefined;
    const observed: Database = {
      ...database,
      transact: (options, work) =>
        database.transact(options, ({ send, commit }) =>
          work({
            send,
            commit: async (statements) => {
              removal ??= new Webhooks(beside).remove({ accountId, id: 'hook' });
              await untilLockWait(database, removal);
              return commit(statements);
            },
          }),
        ),
    };
    let ids = 0;
    const event = { event: 'dataset.ready', at: 7, dueAt: 7, payload: '{}', newId: () => `m${ids++}` } as const;
    const after = { ...known, status: 'READY', digest: 'd', seenAt: 6 } as const;
    expect(await new Announcements(observed).record(known, after, event)).toBe(true);
    expect(await removal).toBe(true);
    const deliveries = new Deliveries(database);
    expect([await deliveries.list('hook'), await deliveries.list('other')]).toMatchObject([[], [{ datasetId: 'a' }]]);
  });

  test.each(['outcome', 'event'] as const)(
    'an event stays behind an earlier one whose attempt fails while it is recorded, the %s first',
    async (first) => {
      const { accountId, database, beside } = await openTwo();
      const webhook = { accountId, url: 'https://queue.example/', secret: 'whsec_', createdAt: 1, disabledAt: null };
      await new Webhooks(database).add({ ...webhook, id: 'hook', events: ['dataset.ready'] }, 1);
      const known = { datasetId: 'a', accountId, name: 'dogs', status: null, digest: null, seenAt: 5, announcedAt: 0 };
      await new Announcements(database).begin([known]);
      const deliveries = new Deliveries(database);
      const ready = { event: 'dataset.ready', payload: '{}' } as const;
      await deliveries.add({ id: 'a1', webhookId: 'hook', datasetId: 'a', ...ready, createdAt: 10, dueAt: 10 });
      await deliveries.acquire({ webhookId: 'hook', token: 'holder' }, { expiredBy: 0, until: 90 });
      const delivery = (await deliveries.due('hook', 10))!;
      const work = {
        outcome: (on: Database) =>
          new Deliveries(on).record(
            { delivery, token: 'holder' },
            { at: 20, answer: 500, error: 'failed', nextAt: 100 },
          ),
        event: (on: Database) =>
          new Announcements(on).record(
            known,
            { status: 'READY', digest: 'd', seenAt: 6 },
            { ...ready, at: 20, dueAt: 20, newId: () => 'a2' },
          ),
      };
      const second = first === 'outcome' ? work.event : work.outcome;
      const paused = pausedBeforeCommit(database, /./);
      const earlier = work[first](paused.database);
      await paused.reached;
      const later = second(beside);
      await untilLockWait(database, later);
      paused.resume();
      expect(await earlier).toBe(true);
      expect(await later).toBe(true);
      expect(await deliveries.due('hook', 100)).toMatchObject({ id: 'a1' });
    },
  );
});
