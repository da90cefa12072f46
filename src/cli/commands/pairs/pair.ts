import { type Command, Option } from 'commander';
import type { DatasetWithFiles } from '../../../client/client.js';
import { isPairProblem } from '../../../dataset/pairs/pair-problems.js';
import { type LinkIds, linkIdsOf, linkLines } from '../../pairs/links.js';
import { statusLines } from '../../push/output.js';
import { addRemoteOptions, clientFrom, mustFind, type RemoteOptions } from '../../remote.js';
import { CommandError, EXIT, interruptible } from '../../terminal/exit-codes.js';
import { painterOf, print, printJson } from '../../terminal/print.js';
import { printable } from '../../terminal/text.js';

const HELP = `
Examples:
  $ trainyard pair railway                                             prints its controls, its mask and what is missing
  $ trainyard pair railway --control railway-depth                     links one dataset of control images
  $ trainyard pair railway --control railway-depth --control railway-edges --mask railway-mask
  $ trainyard pair railway --no-mask                                   removes the link to the mask
  $ trainyard pair railway --none                                      removes all links

A link needs datasets with the roles control and mask: see trainyard role --help. --control replaces all controls, in this order,
and --mask the mask; what is not named stays. A control or mask belongs to the image of the same name before the extension.

To create and link the datasets of one folder at once, see --pairs in: trainyard push --help

Exit codes: 0 the pairs are complete, 1 the dataset is FAILED, 65 the service rejected the links, 66 no such dataset.`;

const MAX_CONTROLS = 3;

interface PairOptions extends RemoteOptions {
  /** `false`: `--no-control`. */
  readonly control?: readonly string[] | false;
  readonly mask?: string | false;
  readonly none?: true;
}

/** `trainyard pair` */
export function addPairCommand(program: Command): void {
  const collect = (name: string, names: unknown) => [...(Array.isArray(names) ? names : []), name];
  const command = program
    .command('pair')
    .description('Link a dataset to the control images and the mask that an edit model trains with, or show its links.')
    .argument('<dataset>', 'the training dataset: its name or ID')
    .option('--control <dataset>', 'its control images; repeat it for a second and a third control', collect)
    .option('--no-control', 'remove the links to controls')
    .option('--mask <dataset>', 'its masks')
    .option('--no-mask', 'remove the link to the mask')
    .addOption(new Option('--none', 'remove all links').conflicts(['control', 'mask']))
    .action((name, options) => interruptible((signal) => pair(name, options, signal)));
  addRemoteOptions(command).addHelpText('after', HELP);
}

async function pair(name: string, options: PairOptions, signal: AbortSignal): Promise<void> {
  const client = clientFrom(options);
  const idOf = async (nameOrId: string) => (await mustFind(client, nameOrId, signal)).id;
  const id = await idOf(name);
  if (options.control !== undefined || options.mask !== undefined || options.none) {
    const { links } = await client.pairs.links(id, { signal });
    await client.pairs.setLinks(id, await linksFor(options, linkIdsOf(links), idOf), { signal });
  }
  const dataset = await client.status(id, { signal });
  if (dataset.status === 'FAILED') process.exitCode = EXIT.notFit;
  if (options.json) {
    const { files: _, ...summary } = dataset;
    return printJson({ dataset: summary, links: dataset.links ?? {} });
  }
  printLinks(dataset);
}

/** The ids of the datasets to link. */
async function linksFor(
  { control, mask, none }: PairOptions,
  kept: LinkIds,
  idOf: (nameOrId: string) => Promise<string>,
): Promise<LinkIds> {
  if (none) return {};
  const { mask: keptMask, ...keptControls } = kept;
  if (control && control.length > MAX_CONTROLS) {
    throw new CommandError(
      EXIT.usage,
      `a dataset has at most ${MAX_CONTROLS} controls, and ${control.length} are named.`,
    );
  }
  const controls =
    control === undefined
      ? keptControls
      : Object.fromEntries(
          await Promise.all((control || []).map(async (each, i) => [`control_${i + 1}`, await idOf(each)])),
        );
  const maskId = mask === undefined ? keptMask : mask === false ? undefined : await idOf(mask);
  return { ...controls, ...(maskId !== undefined && { mask: maskId }) };
}

function printLinks(dataset: DatasetWithFiles): void {
  const paint = painterOf(process.stdout);
  const { name, role, links = {} } = dataset;
  const isUnlinked = Object.keys(links).length === 0;
  print(`${paint('bold', printable(name))}${isUnlinked && role === 'training' ? '  has no control and no mask' : ''}`);
  for (const line of linkLines(dataset, paint)) print(line);
  for (const line of statusLines(dataset, paint)) print(line);
  for (const { message } of (dataset.warnings ?? []).filter(isPairProblem))
    print(paint('yellow', `! ${printable(message)}`));
}
