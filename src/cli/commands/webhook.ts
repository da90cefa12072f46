import type { Command } from 'commander';
import type { Webhook, WebhookDelivery, WebhookEvent } from '../../client/client.js';
import { sleep } from '../../client/retry.js';
import { collect } from '../arguments.js';
import { type Call, onService } from '../remote.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { type Output, printMessage, tableLines } from '../terminal/print.js';
import { printable, secondOf } from '../terminal/text.js';

const POLL_INTERVAL_MS = 250;

/** The receiver has 15 seconds to answer; other deliveries of the webhook may be before it. */
const MAX_TEST_MS = 60_000;

const ADD_HELP = `
Examples:
  $ trainyard webhook add https://queue.example/trainyard
  $ trainyard webhook add https://queue.example/trainyard --event dataset.ready

Prints the secret that verifies the signatures, which is not shown again. The operator of the service decides to which
private addresses webhooks may be sent (--webhook-allow).`;

/** `trainyard webhook add|ls|rm|test|deliveries|resend|enable|disable` */
export function addWebhookCommands(program: Command): void {
  const group = program.command('webhook').description('Send status changes of your datasets to a URL.');
  const command = (usage: string, description: string) => group.command(usage).description(description);
  const example = (...lines: string[]) =>
    `\nExamples:\n${lines.map((line) => `  $ trainyard webhook ${line}`).join('\n')}`;
  const add = command('add <url>', 'Create a webhook and print its secret. It is not shown again.').option(
    '--event <type>',
    'an event that it receives: dataset.ready, dataset.failed, dataset.deleted or captions.finished; repeatable (default: all)',
    collect<string>,
  );
  onService(add, ADD_HELP, addWebhook);
  onService(command('ls', 'List your webhooks.'), example('ls', "ls --json | jq -r '.webhooks[].id'"), listWebhooks);
  onService(command('rm <id>', 'Delete a webhook.'), example('rm 3f9a1c02'), removeWebhook);
  const test = command('test <id>', 'Send a test event and wait for the answer.');
  const testExample = example('test 3f9a1c02    sends an event "webhook.test", and waits for the answer');
  onService(test, `${testExample}\n\nExit codes: 0 the receiver answered with 2xx, 1 it did not.`, testWebhook);
  const deliveries = command('deliveries <id>', 'List what was sent to a webhook, and how it ended.');
  onService(deliveries, example('deliveries 3f9a1c02    the last 100, newest first'), listDeliveries);
  const resend = command('resend <id> <delivery>', 'Send a delivery again.');
  onService(resend, example('resend 3f9a1c02 msg_7b…    as "trainyard webhook deliveries" shows it'), resendDelivery);
  const enable = command('enable <id>', 'Enable a webhook again.');
  onService(enable, example('enable 3f9a1c02    events that wait are sent at once'), switchTo(true));
  const disable = command('disable <id>', 'Send nothing to a webhook until it is enabled.');
  onService(disable, example('disable 3f9a1c02'), switchTo(false));
}

type AddOptions = { event?: readonly WebhookEvent[] };

async function addWebhook({ client, options, signal }: Call<AddOptions>, url: string): Promise<Output> {
  const added = await client.webhooks.add(url, { events: options.event, signal });
  if (!options.json) {
    const made = printable(`made webhook ${added.id} for ${added.events.join(', ')}`);
    printMessage(`${made}. Its secret is not shown again:`);
  }
  return { document: added, lines: [printable(added.secret)] };
}

async function listWebhooks({ client, signal }: Call): Promise<Output> {
  const webhooks = await client.webhooks.list({ signal });
  const none = 'You have no webhooks yet. To create one, run: trainyard webhook add URL';
  const lines = tableLines(webhooks, none, {
    id: ({ id }) => id,
    state: stateOf,
    events: ({ events }) => events.join(', '),
    url: ({ url }) => url,
  });
  return { document: { webhooks }, lines };
}

async function removeWebhook({ client, signal }: Call, id: string): Promise<Output> {
  await client.webhooks.remove(id, { signal });
  return { document: { id, deleted: true }, lines: [`Deleted webhook ${printable(id)}.`] };
}

async function listDeliveries({ client, signal }: Call, id: string): Promise<Output> {
  const deliveries = await client.webhooks.deliveries(id, { signal });
  const none = `Nothing was sent yet. To try it, run: trainyard webhook test ${printable(id)}`;
  const lines = tableLines(deliveries, none, {
    id: (each) => each.id,
    event: ({ event }) => event,
    dataset: ({ dataset_id }) => dataset_id ?? '',
    created: ({ created_at }) => secondOf(created_at),
    state: ({ next_attempt_at, state }) =>
      next_attempt_at === null ? state : `next attempt ${secondOf(next_attempt_at)}`,
    attempts: ({ attempts }) => String(attempts),
    error: ({ error }) => error ?? '',
  });
  return { document: { deliveries }, lines };
}

async function resendDelivery({ client, signal }: Call, id: string, delivery: string): Promise<Output> {
  const sent = await client.webhooks.resend(id, delivery, { signal });
  return { document: sent, lines: [`Delivery ${printable(sent.id)} will be sent again.`] };
}

function switchTo(enabled: boolean) {
  return async ({ client, signal }: Call, id: string): Promise<Output> => {
    const changed = await client.webhooks.change(id, { enabled }, { signal });
    return { document: changed, lines: [`Webhook ${printable(changed.id)} is ${stateOf(changed)}.`] };
  };
}

async function testWebhook(call: Call, id: string): Promise<Output> {
  const { client, signal } = call;
  const webhook = (await client.webhooks.list({ signal })).find((each) => each.id === id);
  if (webhook?.enabled === false) {
    throw new CommandError(EXIT.noInput, `webhook ${id} is disabled. Run: trainyard webhook enable ${id}`);
  }
  const { id: deliveryId } = await client.webhooks.test(id, { signal });
  const tried = await triedDelivery(call, id, deliveryId);
  if (tried.state === 'delivered') return { document: tried, lines: [`The receiver answered ${tried.answer}.`] };
  process.exitCode = EXIT.notFit;
  return { document: tried, lines: [`The test was not delivered. ${printable(tried.error ?? '')}`] };
}

async function triedDelivery({ client, signal }: Call, id: string, deliveryId: string): Promise<WebhookDelivery> {
  const deadline = performance.now() + MAX_TEST_MS;
  for (;;) {
    const found = (await client.webhooks.deliveries(id, { signal })).find((each) => each.id === deliveryId);
    if (found !== undefined && found.attempts > 0) return found;
    if (performance.now() > deadline) {
      throw new CommandError(EXIT.temporaryFailure, 'the test still waits for earlier deliveries of this webhook.');
    }
    await sleep(POLL_INTERVAL_MS, signal);
  }
}

function stateOf({ enabled }: Webhook): string {
  return enabled ? 'enabled' : 'disabled';
}
