import type { ServerResponse } from 'node:http';
import { Resolver } from 'node:dns/promises';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { AllowedAddresses } from '../../../src/service/webhooks/allowed-addresses.js';
import { Deliverer } from '../../../src/service/webhooks/deliverer.js';
import { newWebhookSecret } from '../../../src/service/webhooks/sign-delivery.js';
import { Deliveries } from '../../../src/storage/catalog/webhooks/deliveries.js';
import { Webhooks } from '../../../src/storage/catalog/webhooks/webhooks.js';
import { rowChunksOf } from '../../../src/storage/catalog/statements.js';
import type { Database } from '../../../src/storage/database/database.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { isSigned, type Receiver, startReceiver } from '../../harness/receiver.js';
import { eventually } from '../../harness/server.js';

const MAX_IN_FLIGHT = 32;
/** Each has two requests in flight at most. */
const SLOW_ACCOUNTS = MAX_IN_FLIGHT / 2 + 1;
/** Accounts with ten webhooks each, so many that these are more than a thousand. */
const BACKLOGS = 101;
const HOUR = 3_600_000_000;

let receiver: Receiver;
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(() => receiver.close());

const received = (count: number) => eventually(() => (receiver.received.length >= count ? true : undefined));

const names = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i}`);

/** A deliverer whose clock is `ahead` microseconds ahead of the machine's, and webhooks of new accounts. */
async function open({ database }: { database: Database }, ahead = 0) {
  const { query } = database;
  const account = await query.selectFrom('account').selectAll().executeTakeFirstOrThrow();
  const webhooks = new Webhooks(database);
  const deliveries = new Deliveries(database);
  let ids = 0;
  const newId = () => `id${ids++}`;
  const now = () => Date.now() * 1000 + ahead;
  const errors: unknown[] = [];
  const disabled: string[] = [];
  const dependencies = { now, newId, rules: { leaseDuration: 60_000_000 } } as unknown as ServiceDependencies;
  const deliverer = new Deliverer(dependencies, {
    ...{
      webhooks,
      deliveries,
      allowed: new AllowedAddresses(['127.0.0.1'], new Resolver()),
      isAlone: false,
      machineTime: () => Date.now() * 1000,
    },
    ...{ userAgent: 'test', onAttempt: () => {}, onDisabled: ({ id }) => disabled.push(id) },
    onError: (error) => errors.push(error),
  });
  onTestFinished(() => deliverer.stop());
  const secret = newWebhookSecret();
  const addAccounts = async (names: readonly string[], { hooks, waiting }: { hooks: number; waiting: number }) => {
    const accountRows = names.map((name) => ({ ...account, id: newId(), name }));
    const hook = { events: '[]', secret, created_at: 1, disabled_at: null, lease_until: null, lease_token: null };
    const hookRows = accountRows.flatMap(({ id, name }) =>
      Array.from({ length: hooks }, () => ({ ...hook, id: newId(), account_id: id, url: `${receiver.url}/${name}` })),
    );
    const test = { dataset_id: null, event: 'webhook.test', payload: '{}', created_at: now(), next_at: now() };
    const outcome = { attempts: 0, attempted_at: null, delivered_at: null, answer: null, error: null };
    const deliveryRows = hookRows.flatMap(({ id }) =>
      Array.from({ length: waiting }, () => ({ ...test, ...outcome, id: newId(), webhook_id: id })),
    );
    for (const rows of rowChunksOf(accountRows)) await query.insertInto('account').values(rows).execute();
    for (const rows of rowChunksOf(hookRows)) await query.insertInto('webhook').values(rows).execute();
    for (const rows of rowChunksOf(deliveryRows)) await query.insertInto('webhook_delivery').values(rows).execute();
  };
  return { deliverer, addAccounts, secret, errors, disabled, webhooks, deliveries };
}

onEach(catalogs, (openCatalog) => {
  test('slow receivers of many accounts delay an event of another account by one answer at most', async () => {
    const { deliverer, addAccounts, errors } = await open(await openCatalog());
    const unanswered: ServerResponse[] = [];
    receiver.answer = (response) => unanswered.push(response);
    await addAccounts(names('slow', SLOW_ACCOUNTS), { hooks: 2, waiting: 2 });
    deliverer.start();
    await received(MAX_IN_FLIGHT);
    await addAccounts(['other'], { hooks: 1, waiting: 1 });
    unanswered.shift()?.writeHead(500).end();
    await received(MAX_IN_FLIGHT + 1);
    // The account that had no request in flight is first, since it waits for longer.
    unanswered.shift()?.writeHead(500).end();
    await received(MAX_IN_FLIGHT + 2);
    const last = receiver.received.slice(MAX_IN_FLIGHT).map(({ path }) => path);
    expect([last.includes('/hook/other'), receiver.received.length, errors]).toEqual([true, MAX_IN_FLIGHT + 2, []]);
  });

  test('a thousand webhooks with a backlog do not hide a later event of another account', async () => {
    const { deliverer, addAccounts, errors } = await open(await openCatalog());
    await addAccounts(names('backlog', BACKLOGS), { hooks: 10, waiting: 5 });
    await addAccounts(['other'], { hooks: 1, waiting: 1 });
    const isReceived = () => receiver.received.some(({ path }) => path === '/hook/other');
    receiver.answer = (response) => {
      response.writeHead(204).end();
      if (isReceived()) void deliverer.stop();
    };
    deliverer.start();
    const turns = 2 * BACKLOGS + MAX_IN_FLIGHT;
    await eventually(() => (isReceived() || receiver.received.length > turns ? true : undefined));
    expect([isReceived(), errors]).toEqual([true, []]);
  });

  test('requests are signed with the time of the machine, also while the clock of the service is ahead of it', async () => {
    const { deliverer, addAccounts, secret } = await open(await openCatalog(), HOUR);
    await addAccounts(['account'], { hooks: 1, waiting: 1 });
    deliverer.start();
    await received(1);
    expect(receiver.received.map((request) => isSigned(request, secret))).toEqual([true]);
  });

  const openUnanswered = async () => {
    const { database } = await openCatalog();
    const opened = await open({ database });
    await opened.addAccounts(['account'], { hooks: 1, waiting: 1 });
    const unanswered: ServerResponse[] = [];
    receiver.answer = (response) => unanswered.push(response);
    opened.deliverer.start();
    await received(1);
    const hook = await database.query.selectFrom('webhook').selectAll().executeTakeFirstOrThrow();
    const answer = async (status: number) => {
      unanswered[0]?.writeHead(status).end();
      await eventually(() => (opened.deliverer.inFlight === 0 ? true : undefined));
    };
    return { ...opened, key: { id: hook.id, accountId: hook.account_id }, answer };
  };

  test('an attempt that ends after another process has taken the lease is not recorded, which is no error', async () => {
    const { deliveries, key, answer, errors } = await openUnanswered();
    const lease = { expiredBy: Number.MAX_SAFE_INTEGER, until: Number.MAX_SAFE_INTEGER };
    await deliveries.acquire({ webhookId: key.id, token: 'other' }, lease);
    await answer(500);
    expect([await deliveries.list(key.id), errors]).toMatchObject([[{ attempts: 0, answer: null }], []]);
  });

  test.each([
    ['disables the webhook', undefined, 1],
    ['does not disable a webhook that has another URL by then', 'https://queue.example/', 0],
  ])('a receiver that answers that it is gone %s', async (_, url, count) => {
    const { webhooks, key, answer, errors, disabled } = await openUnanswered();
    if (url !== undefined) await webhooks.change(key, { url }, 1);
    await answer(410);
    const isDisabled = (await webhooks.find(key))?.disabledAt !== null;
    expect([isDisabled, disabled.length, errors]).toEqual([count === 1, count, []]);
  });
});
