import type { Command } from 'commander';
import type { TrainyardClient, Webhook, WebhookDelivery, WebhookEvent } from '../../client/client.js';
import { sleep } from '../../client/retry.js';
import { addRemoteOptions, clientFrom, type RemoteOptions } from '../remote.js';
import { CommandError, EXIT, interruptible } from '../terminal/exit-codes.js';
import { print, printJson, printMessage } from '../terminal/print.js';
import { printable, tableOf } from '../terminal/text.js';

const POLL_INTERVAL_MS = 250;

/** The receiver has 15 seconds to answer; other deliveries of the webhook may be before it. */
const MAX_TEST_MS = 60_000;

const EXAMPLES: Record<string, string> = {
  add: `
  $ trainyard webhook add https://queue.example/trainyard
  $ trainyard webhook add https://queue.example/trainyard --event dataset.ready

Prints the secret that verifies the signatures, which is not shown again. The operator of the service decides to which
private addresses webhooks may be sent (--webhook-allow).`,
  ls: `
  $ trainyard webhook ls
  $ trainyard webhook ls --json | jq -r '.webhooks[].id'`,
  rm: `
  $ trainyard webhook rm 3f9a1c02`,
  test: `
  $ trainyard webhook test 3f9a1c02    sends an event "webhook.test", and waits for the answer

Exit codes: 0 the receiver answered with 2xx, 1 it did not.`,
  deliveries: `
  $ trainyard webhook deliveries 3f9a1c02    the last 100, newest first`,
  resend: `
  $ trainyard webhook resend 3f9a1c02 msg_7b…    as "trainyard webhook deliveries" shows it`,
  enable: `
  $ trainyard webhook enable 3f9a1c02    events that wait are sent at once`,
  disable: `
  $ trainyard webhook disable 3f9a1c02`,
};

/** What a command prints, for a person and for `--json`. */
interface Output {
  readonly lines: readonly string[];
  readonly document: object;
}

type Work = (
  client: TrainyardClient,
  args: readonly string[],
  options: Options,
  signal: AbortSignal,
) => Promise<Output>;

interface Options extends RemoteOptions {
  readonly event?: readonly WebhookEvent[];
}

/** `trainyard webhook add|ls|rm|test|deliveries|resend|enable|disable` */
export function addWebhookCommands(program: Command): void {
  const group = program.command('webhook').description('Send status changes of your datasets to a URL.');
  const add = (usage: string, description: string, work: Work) => {
    const command = group.command(usage).description(description);
    return addRemoteOptions(command)
      .addHelpText('after', `\nExamples:${EXAMPLES[command.name()] ?? ''}`)
      .action((...given) => {
        const options = command.opts<Options>();
        const args = given.slice(0, -2) as string[];
        return interruptible(async (signal) => {
          const { lines, document } = await work(clientFrom(options), args, options, signal);
          if (options.json) printJson(document);
          else for (const line of lines) print(line);
        });
      });
  };
  const collect = (value: string, earlier: readonly string[] = []) => [...earlier, value];
  add('add <url>', 'Create a webhook and print its secret. It is not shown again.', addWebhook).option(
    '--event <type>',
    'an event that it receives: dataset.ready, dataset.failed or dataset.deleted; repeatable (default: all)',
    collect,
  );
  add('ls', 'List your webhooks.', listWebhooks);
  add('rm <id>', 'Delete a webhook.', async (client, [id = ''], _options, signal) => {
    await client.webhooks.remove(id, { signal });
    return { lines: [`Deleted webhook ${printable(id)}.`], document: { id, deleted: true } };
  });
  add('test <id>', 'Send a test event and wait for the answer.', testWebhook);
  add('deliveries <id>', 'List what was sent to a webhook, and how it ended.', listDeliveries);
  add(
    'resend <id> <delivery>',
    'Send a delivery again.',
    async (client, [id = '', delivery = ''], _options, signal) => {
      const sent = await client.webhooks.resend(id, delivery, { signal });
      return { lines: [`Delivery ${printable(sent.id)} will be sent again.`], document: sent };
    },
  );
  for (const [name, enabled] of [
    ['enable', true],
    ['disable', false],
  ] as const) {
    const description = enabled ? 'Enable a webhook again.' : 'Send nothing to a webhook until it is enabled.';
    add(`${name} <id>`, description, async (client, [id = ''], _options, signal) => {
      const changed = await client.webhooks.change(id, { enabled }, { signal });
      return { lines: [`Webhook ${printable(changed.id)} is ${stateOf(changed)}.`], document: changed };
    });
  }
}

const addWebhook: Work = async (client, [url = ''], { event: events, json }, signal) => {
  const added = await client.webhooks.add(url, { events, signal });
  if (!json) {
    const made = printable(`made webhook ${added.id} for ${added.events.join(', ')}`);
    printMessage(`${made}. Its secret is not shown again:`);
  }
  return { lines: [printable(added.secret)], document: added };
};

const listWebhooks: Work = async (client, _args, _options, signal) => {
  const webhooks = await client.webhooks.list({ signal });
  const rows = webhooks.map((each) => [each.id, stateOf(each), each.events.join(', '), each.url].map(printable));
  const table = tableOf([['ID', 'STATE', 'EVENTS', 'URL'], ...rows]);
  const lines = rows.length > 0 ? table : ['You have no webhooks yet. To create one, run: trainyard webhook add URL'];
  return { lines, document: { webhooks } };
};

const listDeliveries: Work = async (client, [id = ''], _options, signal) => {
  const deliveries = await client.webhooks.deliveries(id, { signal });
  const rows = deliveries.map((each) =>
    [
      each.id,
      each.event,
      each.dataset_id ?? '',
      secondOf(each.created_at),
      each.next_attempt_at === null ? each.state : `next attempt ${secondOf(each.next_attempt_at)}`,
      String(each.attempts),
      each.error ?? '',
    ].map(printable),
  );
  const table = tableOf([['ID', 'EVENT', 'DATASET', 'CREATED', 'STATE', 'ATTEMPTS', 'ERROR'], ...rows]);
  const lines = rows.length > 0 ? table : [`Nothing was sent yet. To try it, run: trainyard webhook test ${id}`];
  return { lines, document: { deliveries } };
};

const testWebhook: Work = async (client, [id = ''], _options, signal) => {
  const webhook = (await client.webhooks.list({ signal })).find((each) => each.id === id);
  if (webhook?.enabled === false) {
    throw new CommandError(EXIT.noInput, `webhook ${id} is disabled. Run: trainyard webhook enable ${id}`);
  }
  const { id: deliveryId } = await client.webhooks.test(id, { signal });
  const tried = await triedDelivery(client, { id, deliveryId, signal });
  if (tried.state === 'delivered') return { lines: [`The receiver answered ${tried.answer}.`], document: tried };
  process.exitCode = EXIT.notFit;
  return { lines: [`The test was not delivered. ${printable(tried.error ?? '')}`], document: tried };
};

/** Waits for the first attempt at a delivery. */
async function triedDelivery(
  client: TrainyardClient,
  { id, deliveryId, signal }: { id: string; deliveryId: string; signal: AbortSignal },
): Promise<WebhookDelivery> {
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

function secondOf(time: string): string {
  return time.slice(0, 19).replace('T', ' ');
}
