import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { Role } from '../../dataset/dataset.js';
import { isTextCaption } from '../../dataset/media.js';
import { linksIn } from '../../dataset/pairs/roles.js';
import {
  aiToolkitDatasetOf,
  aiToolkitJob,
  TRAINERS,
  type Trainer,
  trainConfigOf,
} from '../../dataset/train/train-config.js';
import {
  type LinkedFolder,
  MEDIA_CHOICES,
  type MediaChoice,
  type TrainingDataset,
  trainingDatasetsOf,
} from '../../dataset/train/training-dataset.js';
import { type Call, mustFind, onService, undefinedFor } from '../remote.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { type Output, ownCommand, printMessage } from '../terminal/print.js';
import { printable } from '../terminal/text.js';

interface Options {
  readonly into?: string;
  readonly for: Trainer;
  readonly job?: string;
  readonly trigger?: string;
  readonly only?: MediaChoice;
}

const PLACEHOLDER = '/path/to/datasets';

const HELP = `
For ai-toolkit, the block replaces "datasets:" in the "process" of a job, and is indented for that place; --job prints a whole
job. The controls and masks of a dataset are in the folders in which "trainyard mount" puts them. The resolutions are those that
at least half of the files reach. Advice about these very datasets, such as captions of several lines or small images, is in
comments; for JSON, which has none, it is printed on standard error.

Examples:
  $ trainyard train-config railway --into /workspace/datasets
  $ trainyard train-config railway --into /workspace/datasets --job railway_v1 --trigger r4ilway > railway_v1.yaml
  $ trainyard train-config railway --into /workspace/datasets --for kohya > dataset.toml`;

/** `trainyard train-config` */
export function addTrainConfigCommand(program: Command): void {
  const command = program
    .command('train-config')
    .alias('mount-config')
    .description('Print the dataset settings of a trainer for these datasets.')
    .argument('<names...>', 'names or IDs of datasets')
    .option('--into <root>', 'the folder they are mounted in, as the trainer sees it')
    .addOption(new Option('--for <trainer>', 'the trainer').choices(TRAINERS).default('ai-toolkit'))
    .option(
      '--job <name>',
      'print a whole job of this name for ai-toolkit: for videos if there are clips, else for images',
    )
    .option('--trigger <word>', 'the trigger word of the job; needs --job')
    .addOption(
      new Option('--only <kind>', 'for datasets mounted with --only: images or videos').choices(MEDIA_CHOICES),
    );
  onService(command, HELP, printConfig);
}

async function printConfig(call: Call<Options>, names: readonly string[]): Promise<Output> {
  const { options } = call;
  requireFitting(options);
  const { for: trainer, job, trigger } = options;
  const found = [];
  for (const name of names) found.push(...(await readDataset(call, name)));
  const datasets = datasetsToTrain(found);
  const config = job === undefined ? trainConfigOf(trainer, datasets) : aiToolkitJob(datasets, { name: job, trigger });
  const isBlock = trainer === 'ai-toolkit' && job === undefined;
  if (!options.json) for (const note of config.notes) printMessage(note);
  return {
    document: { trainer, ...config, ...(isBlock && { datasets: datasets.map(aiToolkitDatasetOf) }) },
    // Comments name commands as they are called on this machine. Other lines stay: they have captions and names.
    lines: [
      config.text.replace(/^( *# +)trainyard (?=mount )/gm, (_, before: string) => `${before}${ownCommand.command} `),
    ],
  };
}

/** Fields are `undefined` for captions without the bulk API, and for linked datasets that the token may not read. */
async function readDataset({ client, options: { into, only }, signal }: Call<Options>, nameOrId: string) {
  const { id, name, role } = await mustFind(client, nameOrId, signal);
  const { files, digest, groups, links } = await client.status(id, { signal });
  const texts = files.map(({ filename }) => filename).filter(isTextCaption);
  const captions =
    texts.length === 0 ? [] : await client.bulk.captions(id, texts, { signal }).catch(undefinedFor(404, 405));
  const folders: LinkedFolder[] = [];
  for (const { slot, dataset_id, name } of linksIn(links)) {
    const linked = await client.status(dataset_id, { signal }).catch(undefinedFor(404));
    folders.push({ slot, name, files: linked?.files });
  }
  const root = into === undefined ? PLACEHOLDER : resolve(into);
  const toTrain = { name, root, only, digest, files, groups, captions, links: folders };
  return trainingDatasetsOf(toTrain).map((dataset) => ({ role, ...dataset }));
}

function requireFitting({ for: trainer, job, trigger }: Options): void {
  const message = `--job prints jobs for ai-toolkit only. Leave it out to print the datasets for ${trainer}.`;
  if (job !== undefined && trainer !== 'ai-toolkit') throw new CommandError(EXIT.usage, message);
  if (job?.trim() === '') throw new CommandError(EXIT.usage, '--job must name the job.');
  if (trigger !== undefined && job === undefined) throw new CommandError(EXIT.usage, '--trigger needs --job.');
}

/** Leaves out controls and masks that were named beside their targets. @throws CommandError with 65 for another role */
function datasetsToTrain<D extends TrainingDataset & { readonly role?: Role | undefined }>(found: readonly D[]): D[] {
  const linked = new Set(found.flatMap(({ links }) => links.map(({ name }) => name)));
  const trained = found.filter(({ name }) => !linked.has(name));
  const other = trained.find(({ role = 'training' }) => role !== 'training');
  if (other === undefined) return trained;
  const message = `"${printable(other.name)}" is a ${printable(String(other.role))} dataset. Name the dataset that links to it: the settings have both.`;
  throw new CommandError(EXIT.dataError, message);
}
