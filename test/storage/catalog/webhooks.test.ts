import { expect, test } from 'vitest';
import { store } from '../../../src/dataset/upload-transitions.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import { announce, KEPT_DELIVERIES, type NewEvent, Webhooks } from '../../../src/storage/catalog/webhooks.js';
import { type Database, query } from '../../../src/storage/database/database.js';
import { onCatalogs } from '../../harness/backends.js';
import { imageNamed } from '../../harness/stored-image.js';

const HOOK = { url: 'https://queue.example/', secret: 'whsec_', created_at: 1, disabled_at: null } as const;

/** An event of a dataset, or a test without one; its delivery has the payload `payload`. */
const eventOf = (payload: string, datasetId: string | null, at: number): NewEvent => {
  return { event: 'dataset.ready', datasetId, payload, at };
};

const jobsOf = async ({ run }: Database) => {
  const rows = await run(query.selectFrom('job').select(['kind', 'key', 'account_id', 'due_at']).orderBy('key'));
  return rows.map((row) => [row.kind, row.key, row.due_at]);
};

onCatalogs((open) => {
  const openWebhook = async () => {
    const { accountId, catalog, database } = await open();
    const webhooks = new Webhooks(database);
    await webhooks.add({ ...HOOK, id: 'hook', account_id: accountId, events: '["dataset.ready"]' }, 1);
    const add = async (payload: string, datasetId: string | null, at: number) =>
      (await webhooks.addDelivery('hook', eventOf(payload, datasetId, at)))!;
    const next = async () => (await webhooks.nextDelivery('hook'))!;
    return { accountId, catalog, database, webhooks, add, next };
  };

  const DELIVERED = { at: 50, answer: 200, error: null, nextAt: null };
  const retryAt = (nextAt: number) => ({ at: 50, answer: 500, error: 'failed', nextAt });

  test('events of a dataset are due in their order, those of others meanwhile', async () => {
    const { webhooks, add, next } = await openWebhook();
    await add('a1', 'a', 10);
    await add('a2', 'a', 20);
    await add('b1', 'b', 30);
    expect(await next()).toMatchObject({ payload: 'a1', next_at: 10 });
    await webhooks.recordAttempt(await next(), retryAt(100));
    expect((await next()).payload).toBe('b1');
    await webhooks.recordAttempt(await next(), DELIVERED);
    expect(await next()).toMatchObject({ payload: 'a1', next_at: 100 });
    // A new event makes the earlier ones due before it.
    await add('a3', 'a', 70);
    const order: string[] = [];
    for (let due = await next(); due !== undefined; due = await next()) {
      order.push(`${due.payload} at ${due.next_at}`);
      await webhooks.recordAttempt(due, DELIVERED);
    }
    expect(order).toEqual(['a1 at 70', 'a2 at 20', 'a3 at 70']);
  });

  test('the last deliveries of a webhook are kept, and one that waits, however many others end after it', async () => {
    const { webhooks, add, next } = await openWebhook();
    await add('waits', 'a', 1);
    await webhooks.recordAttempt(await next(), retryAt(10_000));
    for (let i = 1; i <= KEPT_DELIVERIES + 2; i++) {
      await add(`d${i}`, 'b', 5000 + i);
      await webhooks.recordAttempt(await next(), DELIVERED);
    }
    const kept = (await webhooks.deliveries('hook')).map(({ payload }) => payload);
    expect([kept.length, kept[0], kept.at(-1)]).toEqual([KEPT_DELIVERIES + 1, 'd102', 'waits']);
    expect((await next()).payload).toBe('waits');
    for (let i = 0; i < KEPT_DELIVERIES; i++) await add(`w${i}`, 'c', 20_000 + i);
    expect((await next()).payload).toBe('w0');
  });

  test.each([
    ['failed for good', { at: 50, answer: 410, error: 'gone', nextAt: null }],
    ['failed', retryAt(100)],
    ['succeeded', DELIVERED],
  ])('a delivery that was made due again while its last attempt %s has new attempts', async (_, outcome) => {
    const { accountId, webhooks, add, next } = await openWebhook();
    const { id } = await add('a1', 'a', 10);
    await webhooks.recordAttempt(await next(), retryAt(20));
    const inFlight = await next();
    await webhooks.resend({ id: 'hook', account_id: accountId }, id, 40);
    await webhooks.recordAttempt(inFlight, outcome);
    expect(await next()).toMatchObject({ id, attempts: 0, next_at: 40, delivered_at: null });
  });

  test('links may change the status of their dataset, which is announced', async () => {
    const { accountId, catalog, database } = await openWebhook();
    await catalog.createDataset({ id: 'a', accountId, name: 'a', createdAt: 1 });
    await catalog.createDataset({ id: 'b', accountId, name: 'b', role: 'control', createdAt: 1 });
    await catalog.links.replace({ accountId, id: 'a' }, { links: [{ slot: 'control_1', linkedId: 'b' }], now: 50 });
    expect(await jobsOf(database)).toEqual([['announce', 'a', expect.any(Number)]]);
  });

  test('a change of a control has the jobs that announce it and its target, also if the process ends with the transaction', async () => {
    const { accountId, catalog, database } = await openWebhook();
    await catalog.createDataset({ accountId, id: 'depth', name: 'depth', role: 'control', createdAt: 1 });
    await catalog.createDataset({ accountId, id: 'dogs', name: 'dogs', createdAt: 1 });
    const links = [{ slot: 'control_1', linkedId: 'depth' }] as const;
    await catalog.links.replace({ accountId, id: 'dogs' }, { links, now: 2 });
    await database.run(query.deleteFrom('job'));
    const ofProcess = [database.transact];
    const transact: Database['transact'] = (options, work) => ofProcess.pop()!(options, work);
    await new Catalog({ ...database, transact }, { blobGrace: 0 })
      .change({ datasetId: 'depth', filenames: ['a.jpg'], now: 7, isActivity: true }, (group) =>
        store(group, { ...imageNamed('a'), datasetId: 'depth' }, undefined),
      )
      .catch(() => {});
    const announced = (await jobsOf(database)).filter(([kind]) => kind === 'announce');
    expect(announced.map(([, id]) => id)).toEqual(['depth', 'dogs']);
  });

  test('of two processes that announce one change, one records the event', async () => {
    const { accountId, catalog, database, webhooks } = await openWebhook();
    await catalog.createDataset({ id: 'a', accountId, name: 'a', createdAt: 1 });
    const key = { accountId, id: 'a' };
    const announcing = ['m1', 'm2'].map((id) =>
      announce(database, key, { before: null, after: 'READY d', event: eventOf(id, 'a', 7) }),
    );
    await Promise.all(announcing);
    expect(await webhooks.deliveries('hook')).toHaveLength(1);
    expect(await jobsOf(database)).toEqual([['deliver', 'hook', 7]]);
    // 410 from an earlier URL does not disable a webhook. For a disabled one, no event is recorded.
    const [before] = await webhooks.list(accountId);
    const changed = await webhooks.change({ accountId, id: 'hook' }, { url: 'https://queue.example/new' }, 8);
    expect([await webhooks.disable(before!, 9), await webhooks.disable(changed!, 9)]).toEqual([false, true]);
    await announce(database, key, { before: 'READY d', after: 'READY e', event: eventOf('m3', 'a', 9) });
    expect(await webhooks.deliveries('hook')).toHaveLength(1);
  });
});
