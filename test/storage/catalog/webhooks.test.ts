import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { PendingFile } from '../../../src/dataset/dataset.js';
import { reserve } from '../../../src/dataset/upload-transitions.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import { copyCatalog } from '../../../src/storage/catalog/copy-catalog.js';
import { announce } from '../../../src/storage/catalog/webhooks/announcements.js';
import { Deliveries, KEPT_DELIVERIES, type NewEvent } from '../../../src/storage/catalog/webhooks/deliveries.js';
import { type Webhook, Webhooks } from '../../../src/storage/catalog/webhooks/webhooks.js';
import type { Database } from '../../../src/storage/database/database.js';
import { openSqlite } from '../../../src/storage/database/sqlite.js';
import { whyNoPostgres } from '../../harness/available.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { PairedDatasets } from '../../harness/paired-datasets.js';
import { pausedBeforeCommit, untilLockWait } from '../../harness/paused-database.js';
import { planOf } from '../../harness/query-plans.js';
import { temporaryFolder } from '../../harness/server.js';

const HOOK = { url: 'https://queue.example/', secret: 'whsec_', createdAt: 1, disabledAt: null } as const;

/** An event of a dataset, or a test without one; its delivery has the id `id`. */
const eventOf = (id: string, datasetId: string | null, at: number): NewEvent => ({
  ...{ event: 'dataset.ready', datasetId, payload: '{}', at, idFor: () => id },
});

const jobsOf = async ({ query }: Database) => {
  const rows = await query.selectFrom('job').select(['kind', 'key', 'account_id', 'due_at']).orderBy('key').execute();
  return rows.map((row) => [row.kind, row.key, row.due_at]);
};

onEach(
  catalogs,
  (open) => {
    const openWebhook = async () => {
      const { accountId, catalog, database } = await open();
      const [webhooks, deliveries] = [new Webhooks(database), new Deliveries(database)];
      await webhooks.add({ ...HOOK, id: 'hook', accountId, events: ['dataset.ready'] }, 1);
      const add = (id: string, datasetId: string | null, at: number) =>
        deliveries.add('hook', eventOf(id, datasetId, at));
      const next = async () => (await deliveries.next('hook'))!;
      return { accountId, catalog, database, webhooks, deliveries, add, next };
    };

    const DELIVERED = { at: 50, answer: 200, error: null, nextAt: null };
    const retryAt = (nextAt: number) => ({ at: 50, answer: 500, error: 'failed', nextAt });

    test('events of a dataset are due in their order, those of others meanwhile', async () => {
      const { deliveries, add, next } = await openWebhook();
      await add('a1', 'a', 10);
      await add('a2', 'a', 20);
      await add('b1', 'b', 30);
      expect(await next()).toMatchObject({ id: 'a1', nextAt: 10 });
      await deliveries.record(await next(), retryAt(100));
      expect((await next()).id).toBe('b1');
      await deliveries.record(await next(), DELIVERED);
      expect(await next()).toMatchObject({ id: 'a1', nextAt: 100 });
      // A new event makes the earlier ones due before it.
      await add('a3', 'a', 70);
      const order: string[] = [];
      for (let due = await next(); due !== undefined; due = await next()) {
        order.push(`${due.id} at ${due.nextAt}`);
        await deliveries.record(due, DELIVERED);
      }
      expect(order).toEqual(['a1 at 70', 'a2 at 20', 'a3 at 70']);
    });

    test('the last deliveries of a webhook are kept', async () => {
      const { deliveries, add } = await openWebhook();
      for (let i = 1; i <= KEPT_DELIVERIES + 2; i++) await add(`d${i}`, null, i);
      const kept = await deliveries.list('hook');
      expect([kept.length, kept[0]?.id, kept.at(-1)?.id]).toEqual([KEPT_DELIVERIES, 'd102', 'd3']);
    });

    test('one that waits is kept, however many others end after it, and however far a clock was ahead of it', async () => {
      const { deliveries, add, next } = await openWebhook();
      await add('waits', 'a', 1);
      await deliveries.record(await next(), retryAt(10_000));
      for (let i = 1; i <= KEPT_DELIVERIES; i++) {
        await add(`d${i}`, 'b', 5000 + i);
        await deliveries.record(await next(), DELIVERED);
      }
      // The clock was ahead, and the server has been started again.
      for (const id of ['after the clock was set back', 'later']) await add(id, 'b', 20);
      expect((await next()).id).toBe('after the clock was set back');
      const kept = (await deliveries.list('hook')).map(({ id }) => id);
      expect([kept.length, ...kept.slice(0, 2), kept.at(-1)]).toEqual([
        ...[KEPT_DELIVERIES + 1, 'later', 'after the clock was set back', 'waits'],
      ]);
      await add('next', 'a', 30);
      for (const id of ['after the clock was set back', 'later', 'waits', 'next']) {
        expect((await next()).id).toBe(id);
        await deliveries.record(await next(), DELIVERED);
      }
    });

    test('a process that stalled while it sent a delivery does not change what another has recorded', async () => {
      const { deliveries, add, next } = await openWebhook();
      await add('a1', 'a', 10);
      await add('a2', 'a', 20);
      const inFlight = await next();
      await deliveries.record(inFlight, DELIVERED);
      const recorded = await deliveries.list('hook');
      await deliveries.record(inFlight, retryAt(70));
      expect(await deliveries.list('hook')).toEqual(recorded);
    });

    test.each([
      ['failed for good', { at: 50, answer: 410, error: 'gone', nextAt: null }],
      ['failed', retryAt(100)],
      ['succeeded', DELIVERED],
    ])('a delivery that was made due again while its last attempt %s has new attempts', async (_, outcome) => {
      const { accountId, deliveries, add, next } = await openWebhook();
      await add('a1', 'a', 10);
      await deliveries.record(await next(), retryAt(20));
      const inFlight = await next();
      await deliveries.resend({ id: 'hook', account_id: accountId }, 'a1', 40);
      await deliveries.record(inFlight, outcome);
      expect(await next()).toMatchObject({ id: 'a1', attempts: 0, nextAt: 40, deliveredAt: null });
    });

    test('a delivery that is added or made due again, and a change of the webhook, enqueue the job that sends it', async () => {
      const { accountId, database, webhooks, deliveries, add, next } = await openWebhook();
      const dueAfter = async (work: () => Promise<unknown>) => {
        await database.query.deleteFrom('job').execute();
        await work();
        return jobsOf(database);
      };
      expect(await dueAfter(() => add('d1', null, 10))).toEqual([['deliver', 'hook', 10]]);
      await deliveries.record(await next(), retryAt(1000));
      expect(await dueAfter(() => deliveries.resend({ id: 'hook', account_id: accountId }, 'd1', 40))).toEqual([
        ['deliver', 'hook', 40],
      ]);
      const enable = () => webhooks.change({ accountId, id: 'hook' }, { disabledAt: null }, 50);
      expect(await dueAfter(enable)).toEqual([['deliver', 'hook', 50]]);
    });

    test('a delivery of a webhook that was deleted is not added', async () => {
      const { accountId, webhooks, add } = await openWebhook();
      expect(await webhooks.remove({ accountId, id: 'hook' })).toBe(true);
      expect(await webhooks.remove({ accountId, id: 'hook' })).toBe(false);
      expect(await add('d1', null, 1)).toBeUndefined();
    });

    test('of two processes that announce one change, one records the event; a copy of the catalog has it', async () => {
      const { accountId, catalog, database, deliveries } = await openWebhook();
      await catalog.createDataset({ id: 'a', accountId, name: 'a', createdAt: 1 });
      const key = { accountId, id: 'a' };
      const announcing = ['m1', 'm2'].map((id) =>
        announce(database, key, { before: null, after: 'READY d', event: eventOf(id, 'a', 7) }),
      );
      await Promise.all(announcing);
      expect(await deliveries.list('hook')).toHaveLength(1);
      expect(await jobsOf(database)).toEqual([['deliver', 'hook', 7]]);
      const folder = await temporaryFolder();
      const copy = await openSqlite(join(folder, 'catalog.sqlite'));
      onTestFinished(async () => {
        await copy.close();
        await rm(folder, { recursive: true });
      });
      await copyCatalog(database, copy, { find: undefined, signal: new AbortController().signal });
      expect(await new Deliveries(copy).list('hook')).toEqual(await deliveries.list('hook'));
      expect(await jobsOf(copy)).toEqual(await jobsOf(database));
    });

    test('an event goes to the enabled webhooks that receive it, and not after the deletion of its dataset', async () => {
      const { accountId, catalog, database, webhooks, deliveries } = await openWebhook();
      const hooks: Record<string, Partial<Webhook>> = {
        ...{ ready: {}, failed: { events: ['dataset.failed'] }, disabled: { disabledAt: 5 } },
      };
      for (const [id, values] of Object.entries(hooks)) {
        await webhooks.add({ ...HOOK, id, accountId, events: ['dataset.ready', 'dataset.deleted'], ...values }, 9);
      }
      const key = { accountId, id: 'a' };
      await catalog.createDataset({ ...key, name: 'a', createdAt: 1 });
      const ids = { idFor: (webhookId: string) => `m ${webhookId}` };
      const event = { ...eventOf('', 'a', 7), ...ids };
      await announce(database, key, { before: null, after: 'READY d', event });
      await catalog.changeDataset(key, { name: 'b' }, 8);
      await catalog.deleteDataset(key, 9);
      await announce(database, key, { before: 'READY d', after: 'FAILED', event });
      const idsOf = async (id: string) => (await deliveries.list(id)).map((delivery) => delivery.id);
      expect(await Promise.all(['hook', ...Object.keys(hooks)].map(idsOf))).toEqual([
        ...[['m hook'], ['msg_a_ready', 'm ready'], [], []],
      ]);
      const [deleted] = await deliveries.list('ready');
      expect(JSON.parse(deleted!.payload)).toMatchObject({ type: 'dataset.deleted', data: { id: 'a', name: 'b' } });
      expect((await jobsOf(database)).filter(([kind]) => kind === 'deliver').map(([, key]) => key)).toEqual([
        ...['hook', 'ready'],
      ]);
    });

    /** A training dataset with a control and others without, in a catalog with a caption grace of 1000. */
    const openDatasets = async (hasWebhook: boolean) => {
      const { accounts, accountId, database } = await open();
      const { token } = await accounts.createToken('other', 1);
      const other = (await accounts.grantOf(token))!.accountId;
      const catalog = new Catalog(database, { blobGrace: 1000, captionGrace: 1000 });
      const pairs = new PairedDatasets({ catalog, accountId });
      const [target, control, alone] = [await pairs.create('training'), await pairs.create('control'), 'alone'];
      await pairs.link(target, { control_1: control });
      await catalog.createDataset({ id: alone, accountId, name: alone, createdAt: 1 });
      const owner = hasWebhook ? accountId : other;
      const hook = { ...HOOK, id: 'hook', accountId: owner, disabledAt: 3, events: ['dataset.ready'] } as const;
      await new Webhooks(database).add(hook, 1);
      return { accountId, database, catalog, pairs, target, control, alone };
    };

    test('each change of the status of a dataset enqueues its announcement, and those of the datasets that link to it', async () => {
      const { accountId, database, catalog, pairs, target, control, alone } = await openDatasets(true);
      const after = async (work: () => Promise<unknown>) => {
        await database.query.deleteFrom('job').execute();
        await work();
        return jobsOf(database);
      };
      const announced = (id: string, at: number) => ['announce', id, at + 1000];
      expect(await after(() => pairs.put(alone, ['a.jpg']))).toEqual([announced(alone, 50)]);
      expect(await after(() => pairs.put(control, ['a.jpg']))).toEqual([announced(target, 50), announced(control, 50)]);
      expect(await after(() => pairs.damage(alone))).toEqual([announced(alone, 65)]);
      expect(await after(() => pairs.link(target, {}))).toEqual([announced(target, 40)]);
      const key = { accountId, id: alone };
      expect(await after(() => catalog.changeDataset(key, { name: 'renamed' }, 70))).toEqual([]);
      expect(await after(() => catalog.changeDataset(key, { role: 'control' }, 70))).toEqual([announced(alone, 70)]);
      // Changes that follow in quick succession are one event: the job waits until the last one is old enough.
      await pairs.put(alone, ['b.jpg']);
      await pairs.remove(alone, 'b.jpg');
      expect(await jobsOf(database)).toEqual([announced(alone, 50)]);
    });

    test('a change of an account without webhooks enqueues nothing', async () => {
      const { accountId, database, catalog, pairs, target, control, alone } = await openDatasets(false);
      await pairs.put(alone, ['a.jpg']);
      await pairs.put(control, ['a.jpg']);
      await pairs.link(target, {});
      await catalog.deleteDataset({ accountId, id: alone }, 70);
      expect(await jobsOf(database)).toEqual([]);
    });

    test('the statements of a change find webhooks, datasets and links by indexes', async () => {
      const { database, pairs, control } = await openDatasets(true);
      const plans: Promise<string>[] = [];
      const observed: Database = {
        ...database,
        transact: (options, work) =>
          database.transact(options, ({ send, commit }) =>
            work({
              send,
              commit: (statements) => {
                for (const each of statements.map((statement) => statement.compile())) {
                  if (each.sql.includes('into job')) plans.push(planOf(database, each));
                }
                return commit(statements);
              },
            }),
          ),
      };
      await pairs.put(control, ['a.jpg'], { catalog: new Catalog(observed, { blobGrace: 1 }) });
      expect(plans).toHaveLength(1);
      const found = await Promise.all(plans);
      for (const plan of found) expect(plan).toMatch(/webhook_account/);
      for (const plan of found) expect(plan).not.toMatch(/SCAN (dataset|link|webhook)|Seq Scan/);
    });

    test('the first webhook of an account begins anew, with the datasets that wait for uploads', async () => {
      const { accountId, catalog, database } = await open();
      for (const id of ['announced', 'waiting', 'expired']) {
        await catalog.createDataset({ id, accountId, name: id, createdAt: 1 });
      }
      await database.query.updateTable('dataset').set({ announced: 'FAILED' }).where('id', '=', 'announced').execute();
      for (const [datasetId, expiresAt] of [['waiting', 900] as const, ['expired', 20] as const]) {
        const upload = {
          state: 'pending',
          via: 'link',
          expectedBytes: 1,
          expiresAt,
          leaseUntil: null,
          leaseToken: null,
        };
        const file = {
          id: datasetId,
          datasetId,
          filename: 'a.jpg',
          kind: 'image',
          createdAt: 10,
          upload,
        } as PendingFile;
        const change = { datasetId, filenames: ['a.jpg'], now: 10, isActivity: true };
        await catalog.change(change, (group) => reserve(group, file));
      }
      const webhooks = new Webhooks(database);
      await webhooks.add({ ...HOOK, id: 'first', accountId, createdAt: 30, events: ['dataset.ready'] }, 2);
      const announced = async () => {
        const rows = database.query.selectFrom('dataset').select('announced').where('announced', 'is not', null);
        return (await rows.execute()).map((row) => row.announced);
      };
      expect([await jobsOf(database), await announced()]).toEqual([[['announce', 'waiting', 900]], []]);
      await database.query.updateTable('dataset').set({ announced: 'FAILED' }).where('id', '=', 'announced').execute();
      await webhooks.add({ ...HOOK, id: 'second', accountId, createdAt: 40, events: ['dataset.ready'] }, 2);
      expect(await announced()).toEqual(['FAILED']);
    });
  },
  { othersAreLong: true },
);

describe.skipIf(whyNoPostgres() !== undefined)('on Postgres, concurrently', () => {
  const openTwo = async (...hooks: readonly string[]) => {
    const opened = await catalogs.find(({ name }) => name === 'Postgres')!.open();
    const { accountId, catalog, database, openAnother } = opened;
    const { database: beside } = await openAnother();
    await catalog.createDataset({ id: 'a', accountId, name: 'a', createdAt: 1 });
    for (const id of hooks) {
      await new Webhooks(database).add({ ...HOOK, id, accountId, events: ['dataset.ready'] }, 2);
    }
    const announceOn = (on: Database, id: string) =>
      announce(
        on,
        { accountId, id: 'a' },
        {
          ...{ before: null, after: 'READY d' },
          event: { ...eventOf('', 'a', 20), idFor: (webhookId) => `${id} ${webhookId}` },
        },
      );
    return { accountId, database, beside, deliveries: new Deliveries(database), announceOn };
  };

  test('a webhook that is deleted while an event is recorded is no error', async () => {
    const { accountId, database, beside, deliveries, announceOn } = await openTwo('hook', 'other');
    const paused = pausedBeforeCommit(database, /webhook_delivery/);
    const recording = announceOn(paused.database, 'm');
    await paused.reached;
    const removal = new Webhooks(beside).remove({ accountId, id: 'hook' });
    await untilLockWait(database, removal);
    paused.resume();
    await recording;
    expect(await removal).toBe(true);
    expect([await deliveries.list('hook'), await deliveries.list('other')]).toMatchObject([[], [{ datasetId: 'a' }]]);
  });
});
