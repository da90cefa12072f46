import { type Command, createArgument } from 'commander';
import type { Dataset } from '../../../client/client.js';
import type { Role } from '../../../dataset/dataset.js';
import { addRemoteOptions, clientFrom, mustFind, type RemoteOptions } from '../../remote.js';
import { parseRole } from '../../arguments.js';
import { interruptible } from '../../terminal/exit-codes.js';
import { print, printJson } from '../../terminal/print.js';
import { counted, printable } from '../../terminal/text.js';

const HELP = `
Examples:
  $ trainyard role railway-depth            prints its role
  $ trainyard role railway-depth control    makes it a control dataset
  $ trainyard role railway-mask mask

A training dataset has images and clips to train on, with captions. A control dataset has the images that an edit model gets
beside those of a training dataset; a mask dataset says with white where the loss counts. Their images have the names of those
in the training dataset, and need no captions. To link them, see: trainyard pair --help

The role of a dataset that is linked can't be changed.`;

/** `trainyard role` */
export function addRoleCommand(program: Command): void {
  const command = program
    .command('role')
    .description('Show or change what the files of a dataset are for: training, control or mask.')
    .argument('<dataset>', 'its name or ID')
    .addArgument(createArgument('[role]', 'training, control or mask').argParser(parseRole))
    .action((dataset, role, options) => interruptible((signal) => showOrChange(dataset, { role, options, signal })));
  addRemoteOptions(command).addHelpText('after', HELP);
}

async function showOrChange(
  nameOrId: string,
  { role, options, signal }: { role: Role | undefined; options: RemoteOptions; signal: AbortSignal },
): Promise<void> {
  const client = clientFrom(options);
  const found = await mustFind(client, nameOrId, signal);
  if (role === undefined) {
    if (options.json) return printJson(found);
    return print(`"${printable(found.name)}" is a ${printable(found.role ?? 'training')} dataset.`);
  }
  const dataset = await client.datasets.change(found.id, { role }, { signal });
  if (options.json) return printJson({ ...dataset, previous_role: found.role });
  const already = found.role === dataset.role ? ' already' : '';
  print(
    `"${printable(dataset.name)}" is a ${printable(dataset.role)} dataset${already}.${adviceFor(dataset, found.role)}`,
  );
}

function adviceFor({ role, counts }: Dataset, before: Role): string {
  if (role === before) return '';
  const { captions = 0, uncaptioned = 0 } = counts ?? {};
  if (role === 'training')
    return uncaptioned === 0 ? '' : ` ${counted(uncaptioned, 'file needs', 'files need')} a caption now.`;
  return captions === 0 ? '' : ` Its ${counted(captions, 'caption is', 'captions are')} kept, and not used.`;
}
