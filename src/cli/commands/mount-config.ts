import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { trainerDatasetOf, yamlOf } from '../mount/trainer-config.js';
import { addRemoteOptions, clientFrom, mustFind, type RemoteOptions } from '../remote.js';
import { interruptible } from '../terminal/exit-codes.js';
import { print, printJson } from '../terminal/print.js';

interface Options extends RemoteOptions {
  readonly into?: string;
}

/** What a person sees at once that it has to be filled in. */
const PLACEHOLDER = '/path/to/datasets';

const HELP = `
The block goes into a job's "process", in place of its "datasets:". Resolutions are those that at least half of the pictures
can fill, since the trainer never enlarges; the comments say why each number is as it is.

Examples:
  $ trainyard mount-config railway --into /workspace/datasets
  $ trainyard mount-config railway railway-depth --json`;

/** `trainyard mount-config` */
export function addMountConfigCommand(program: Command): void {
  const command = program
    .command('mount-config')
    .description('Print the "datasets:" block of an ai-toolkit job for these datasets.')
    .argument('<names...>', 'names or ids of datasets')
    .option('--into <root>', 'where they are mounted, as the trainer sees it')
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
