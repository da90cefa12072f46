import { type Command, Option } from 'commander';
import type { Dataset, Token } from '../../client/client.js';
import { shellWord } from '../../command-line.js';
import { numberIn } from '../arguments.js';
import { type Call, onDataset } from '../remote.js';
import { type Output, print, titledTable } from '../terminal/print.js';
import { minuteOf, printable } from '../terminal/text.js';

const EXAMPLES = `
Examples:
  $ trainyard share wagons                       prints a link, valid for a week
  $ trainyard share wagons --days 1 --for Ada
  $ trainyard share wagons --list
  $ trainyard share wagons --revoke 3f9a1c20     the link no longer works

Who has the link sees the current images, clips and captions of this dataset and can download them, without an account. It
shows no other dataset and no earlier revision, and changes nothing. The link is not shown again.`;

interface ShareOptions {
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
    .option('--days <number>', 'how long the link is valid, 1 to 365', numberIn({ min: 1, max: 365 }), 7)
    .option('--for <name>', 'for whom it is, for the list')
    .addOption(new Option('--list', 'list the links of the dataset that are not revoked').conflicts('revoke'))
    .option('--revoke <id>', 'revoke the link with this ID');
  onDataset(command, EXAMPLES, share);
}

async function share(dataset: Dataset, { client, options, signal }: Call<ShareOptions>): Promise<Output> {
  const { id, name } = dataset;
  const title = `"${printable(name)}"`;
  if (options.list) {
    const shares = await client.shares.list(id, { signal });
    const table = titledTable(['ID', 'FOR', 'CREATED (UTC)', 'LAST USED', 'ENDS'], shares.map(rowOf));
    return { document: { id, name, shares }, lines: shares.length > 0 ? table : [`No link shows ${title}.`] };
  }
  if (options.revoke !== undefined) {
    await client.shares.revoke(id, options.revoke, { signal });
    const line = `Revoked the link ${printable(options.revoke)} of ${title}.`;
    return { document: { id: options.revoke, revoked: true }, lines: [line] };
  }
  const rights = { expiresInSeconds: options.days * 86_400, ...(options.for !== undefined && { name: options.for }) };
  const made = await client.shares.make(id, { ...rights, signal });
  if (!options.json) {
    const end = made.expires_at === null ? '' : `, until ${minuteOf(made.expires_at)} UTC`;
    const message = `Who has this link sees ${title} and can download it${end}. It is not shown again.`;
    const [word, shareId] = [name, made.id].map((text) => shellWord(printable(text)));
    print(`${message}\nTo revoke it: trainyard share ${word} --revoke ${shareId}`, process.stderr);
  }
  const document = { id: made.id, dataset_id: id, url: made.url, expires_at: made.expires_at };
  return { document, lines: [printable(made.url)] };
}

function rowOf({ id, name, created_at, last_used_at, expires_at }: Token): string[] {
  const [used, end] = [last_used_at, expires_at].map((time) => time && minuteOf(time));
  return [id, name ?? '', minuteOf(created_at), used ?? 'never', end ?? ''];
}
