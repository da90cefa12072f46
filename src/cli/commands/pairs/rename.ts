import type { Command } from 'commander';
import { parseDatasetName } from '../../../dataset/names.js';
import { addRemoteOptions, clientFrom, mustFind, type RemoteOptions } from '../../remote.js';
import { interruptible } from '../../terminal/exit-codes.js';
import { print, printJson } from '../../terminal/print.js';
import { printable } from '../../terminal/text.js';

const HELP = `
Examples:
  $ trainyard rename railway "Red railway"

Its ID, history, links and tokens stay. The next mount makes a folder of the new name.`;

/** `trainyard rename` */
export function addRenameCommand(program: Command): void {
  const command = program
    .command('rename')
    .description('Give a dataset another name.')
    .argument('<dataset>', 'its name or ID')
    .argument('<name>', 'the new name')
    .action((dataset, name, options) => interruptible((signal) => rename(dataset, { name, options, signal })));
  addRemoteOptions(command).addHelpText('after', HELP);
}

async function rename(
  nameOrId: string,
  { name, options, signal }: { name: string; options: RemoteOptions; signal: AbortSignal },
): Promise<void> {
  const parsed = parseDatasetName(name);
  const client = clientFrom(options);
  const { id, name: before } = await mustFind(client, nameOrId, signal);
  const dataset = await client.datasets.change(id, { name: parsed }, { signal });
  if (options.json) printJson({ ...dataset, previous_name: before });
  else if (before === dataset.name) print(`"${printable(before)}" has this name already.`);
  else print(`Renamed "${printable(before)}" to "${printable(dataset.name)}".`);
}
