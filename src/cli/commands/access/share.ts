import { type Command, InvalidArgumentError } from 'commander';
import type { Token, TrainyardClient } from '../../../client/client.js';
import { shellWord } from '../../../command-line.js';
import { addRemoteOptions, clientFrom, mustFind, type RemoteOptions } from '../../remote.js';
import { CommandError, EXIT, interruptible } from '../../terminal/exit-codes.js';
import { painterOf, print, printJson } from '../../terminal/print.js';
import { printable, tableOf } from '../../terminal/text.js';

const EXAMPLES = `
Examples:
  $ trainyard share wagons                       prints a link, valid for a week
  $ trainyard share wagons --days 1 --for Ada
  $ trainyard share wagons --list
  $ trainyard share wagons --revoke 3f9a1c20     the link no longer works

Who has the link sees the current images, clips and captions of this dataset and can download them, without an account. It
shows no other dataset and no earlier revision, and changes nothing. The link is not shown again.`;

interface ShareOptions extends RemoteOptions {
  readonly days: number;
  readonly for?: string;
  readonly list?: true;
  readonly revoke?: string;
}

/** `trainyard share` */
export function addShareCommand(program: Command): void {
  const command = program
    .command('share')
    .description('Create a link that shows a dataset to a person without an account, or list or revoke such links.')
    .argument('<dataset>', 'its name or ID')
    .option('--days <number>', 'how long the link is valid, 1 to 365', daysOf, 7)
    .option('--for <name>', 'for whom it is, for the list')
    .option('--list', 'list the links of the dataset that are not revoked')
    .option('--revoke <id>', 'revoke the link with this ID');
  addRemoteOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((name, options) => interruptible((signal) => share(name, options, signal)));
}

async function share(name: string, options: ShareOptions, signal: AbortSignal): Promise<void> {
  if (options.list && options.revoke !== undefined)
    throw new CommandError(EXIT.usage, 'give --list or --revoke, not both.');
  const client = clientFrom(options);
  const dataset = await mustFind(client, name, signal);
  if (options.list) return list(client, { dataset, isJson: options.json === true, signal });
  if (options.revoke !== undefined) {
    await client.shares.revoke(dataset.id, options.revoke, { signal });
    if (options.json) return printJson({ id: options.revoke, revoked: true });
    return print(`Revoked the link ${printable(options.revoke)} of "${printable(dataset.name)}".`);
  }
  const expiresInSeconds = options.days * 86_400;
  const made = await client.shares.make(dataset.id, {
    expiresInSeconds,
    ...(options.for !== undefined && { name: options.for }),
    signal,
  });
  if (options.json)
    return printJson({ id: made.id, dataset_id: dataset.id, url: made.url, expires_at: made.expires_at });
  const end = made.expires_at === null ? '' : `, until ${minuteOf(made.expires_at)} UTC`;
  const message = `Who has this link sees "${printable(dataset.name)}" and can download it${end}. It is not shown again.`;
  const [word, id] = [dataset.name, made.id].map((text) => shellWord(printable(text)));
  print(`${message}\nTo revoke it: trainyard share ${word} --revoke ${id}`, process.stderr);
  print(printable(made.url));
}

async function list(
  client: TrainyardClient,
  { dataset, isJson, signal }: { dataset: { id: string; name: string }; isJson: boolean; signal: AbortSignal },
): Promise<void> {
  const shares = await client.shares.list(dataset.id, { signal });
  if (isJson) return printJson({ id: dataset.id, name: dataset.name, shares });
  if (shares.length === 0) return print(`No link shows "${printable(dataset.name)}".`);
  const [heading = '', ...lines] = tableOf([['ID', 'FOR', 'CREATED (UTC)', 'LAST USED', 'ENDS'], ...shares.map(rowOf)]);
  print([painterOf(process.stdout)('bold', heading), ...lines].join('\n'));
}

function rowOf({ id, name, created_at, last_used_at, expires_at }: Token): string[] {
  const used = last_used_at === null ? 'never' : minuteOf(last_used_at);
  return [
    printable(id),
    printable(name ?? ''),
    minuteOf(created_at),
    used,
    expires_at === null ? '' : minuteOf(expires_at),
  ];
}

/** `2025-07-22 13:05` */
function minuteOf(time: string): string {
  return time.slice(0, 16).replace('T', ' ');
}

function daysOf(text: string): number {
  const days = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (days < 1 || days > 365) throw new InvalidArgumentError('Write a number of days from 1 to 365.');
  return days;
}
