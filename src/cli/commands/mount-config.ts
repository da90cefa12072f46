import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { trainerDatasetOf, yamlOf } from '../mount/trainer-config.js';
import { addRemoteOptions, clientFrom, mustFind, type RemoteOptions } from '../remote.js';
import { interruptible } from '../terminal/exit-codes.js';
import { print, printJson } from '../terminal/print.js';

interface Options extends RemoteOptions {
  readonly into?: string;
}

/** Obviously a placeholder, for the user to replace. */
const PLACEHOLDER = '/path/to/datasets';

const HELP = `
The block replaces "datasets:" in the "process" of a job. It lists the resolutions that at least half of the images reach,
since the trainer never enlarges an image. Comments give the reason for each number.

Examples:
  $ trainyard mount-config railway --into /workspace/datasets
  $ trainyard mount-config railway railway-depth --json`;

/** `trainyard mount-config` */
export function addMountConfigCommand(program: Command): void {
  const command = program
    .command('mount-config')
    .description('Print the "datasets:" block of an ai-toolkit job for these datasets.')
    .argument('<names...>', 'names or IDs of datasets')
    .option('--into <root>', 'the folder they are mounted in, as the trainer sees it')
    .addHelpText('after', HELP)
    .action((names: string[], options: Options) =>
      interruptible(async (signal) => {
        const client = clientFrom(options);
        const root = options.into === undefined ? PLACEHOLDER : resolve(options.into);
        const datasets = [];
        for (const nameOrId of names) {
          const { id, name } = await mustFind(client, nameOrId, signal);
          const { files } = await client.status(id, { signal });
          datasets.push(trainerDatasetOf(join(root, name), files));
        }
        if (options.json) printJson({ datasets });
        else print(yamlOf(datasets));
      }),
    );
  addRemoteOptions(command);
}
