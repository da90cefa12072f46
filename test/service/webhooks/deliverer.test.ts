import type { ServerResponse } from 'node:http';
import { Resolver } from 'node:dns/promises';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { AllowedAddresses } from '../../../src/service/webhooks/allowed-addresses.js';
import { Deliverer } from '../../../src/service/webhooks/deliverer.js';
import { newWebhookSecret } from '../../../src/service/webhooks/sign-delivery.js';
import type { Accounts } from '../../../src/storage/catalog/accounts/accounts.js';
import { Deliveries } from '../../../src/storage/catalog/webhooks/deliveries.js';
import { Webhooks } from '../../../src/storage/catalog/webhooks/webhooks.js';
import type { Database } from '../../../src/storage/database/database.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { isSigned, type Receiver, startReceiver } from '../../harness/receiver.js';
import { eventually } from '../../harness/server.js';

const MAX_IN_FLIGHT = 32;
/** Each has two requests in flight at most. */
const SLOW_ACCOUNTS = MAX_IN_FLIGHT / 2 + 1;
const HOUR = 3_600_000_000;

let receiver: Receiver;
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(() => receiver.close());

const received = (count: number) => eventually(() => (receiver.received.length >= count ? true : undefined));

/** A deliverer whose clock is `ahead` microseconds ahead of the machine's, and webhooks of new accounts. */
async function open({ database, accounts }: { database: Database; accounts: Accounts }, ahead = 0) {
  const [webhooks, deliveries] = [new Webhooks(database), new Deliveries(database)];
  let ids = 0;
  const newId = () => `id${ids++}`;
  const now = () => Date.now() * 1000 + ahead;
  const errors: unknown[] = [];
  const dependencies = { now, newId, rules: { leaseDuration: 60_000_000 } } as unknown as ServiceDependencies;
  const deliverer = new Deliverer(dependencies, {
    ...{ webhooks, deliveries, allowed: new AllowedAddresses(['127.0.0.1'], new Resolver()), isAlone: true },
    ...{ userAgent: 'test', onAttempt: () => {}, onDisabled: () => {}, onError: (error) => errors.push(error) },
  });
  onTestFinished(() => deliverer.stop());
  const secret = newWebhookSecret();
  const addAccount = async (name: string, { hooks, waiting }: { hooks: number; waiting: number }) => {
    const accountId = (await accounts.grantOf((await accounts.createToken(name, 1)).token))!.accountId;
    for (let hook = 0; hook < hooks; hook++) {
      const webhookId = newId();
      const webhook = { id: webhookId, accountId, url: `${receiver.url}/${name}`, secret, createdAt: 1 };
      await webhooks.add({ ...webhook, events: ['dataset.ready'], disabledAt: null }, hooks);
      for (let i = 0; i < waiting; i++) {
        const event = { datasetId: null, event: 'webhook.test', payload: '{}' } as const;
        await deliveries.add({ id: newId(), webhookId, ...event, createdAt: now(), dueAt: now() });
      }
    }
  };
  return { deliverer, addAccount, secret, errors };
}

onEach(catalogs, (openCatalog) => {
  test('slow receivers of many accounts delay an event of another account by one answer at most', async () => {
    const { deliverer, addAccount, errors } = await open(await openCatalog());
    const unanswered: ServerResponse[] = [];
    receiver.answer = (response) => unanswered.push(response);
    for (let i = 0; i < SLOW_ACCOUNTS; i++) await addAccount(`slow${i}`, { hooks: 2, waiting: 2 });
    deliverer.start();
    await received(MAX_IN_FLIGHT);
    await addAccount('other', { hooks: 1, waiting: 1 });
    unanswered.shift()?.writeHead(500).end();
    await received(MAX_IN_FLIGHT + 1);
    // The account that had no request in flight is first, since it waits for longer.
    unanswered.shift()?.writeHead(500).end();
    await received(MAX_IN_FLIGHT + 2);
    const last = receiver.received.slice(MAX_IN_FLIGHT).map(({ path }) => path);
    expect([last.includes('/hook/other'), receiver.received.length, errors]).toEqual([true, MAX_IN_FLIGHT + 2, []]);
  });

  test('requests are signed with the time of the machine, also while the clock of the service is ahead of it', async () => {
    const { deliverer, addAccount, secret } = await open(await openCatalog(), HOUR);
    await addAccount('account', { hooks: 1, waiting: 1 });
    deliverer.start();
    await received(1);
    expect(receiver.received.map((request) => isSigned(request, secret))).toEqual([true]);
  });
});
