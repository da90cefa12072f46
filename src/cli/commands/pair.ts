import { type Command, Option } from 'commander';
import { type LinkIds, linkIdsOf, linkLines } from '../pairs/links.js';
import { statusLines } from '../push/push.js';
import { type Call, mustFind, onDataset } from '../remote.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { type Output, painterOf, problemLine } from '../terminal/print.js';
import { printable } from '../terminal/text.js';
import type { DatasetWithFiles } from '../../client/client.js';
import { isPairProblem } from '../../dataset/problems.js';

const HELP = `
Examples:
  $ trainyard pair railway                                             prints its controls, its mask and what is missing
  $ trainyard pair railway --control railway-depth                     links one dataset of control images
  $ trainyard pair railway --control railway-depth --control railway-edges --mask railway-mask
  $ trainyard pair railway --no-mask                                   removes the link to the mask
  $ trainyard pair railway --none                                      removes all links

A link needs datasets with the roles control and mask: see "trainyard role --help". --control replaces all controls, in this order,
and --mask the mask; what is not named stays. A control or mask belongs to the image of the same name before the extension.

To create and link the datasets of one folder at once, see --pairs in "trainyard push --help".

Exit codes: 0 the pairs are complete, 1 the dataset is FAILED, 65 the service rejected the links, 66 no such dataset.`;

const MAX_CONTROLS = 3;

interface Options {
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
    .addOption(new Option('--none', 'remove all links').conflicts(['control', 'mask']));
  onDataset(command, HELP, pair);
}

async function pair({ id }: { id: string }, { client, options, signal }: Call<Options>): Promise<Output> {
  const { control, mask, none } = options;
  if (control !== undefined || mask !== undefined || none) {
    const idOf = async (name: string) => (await mustFind(client, name, signal)).id;
    const { links } = await client.pairs.links(id, { signal });
    await client.pairs.setLinks(id, none ? {} : await linksFor(options, linkIdsOf(links), idOf), { signal });
  }
  const { files: _, ...dataset } = await client.status(id, { signal });
  if (dataset.status === 'FAILED') process.exitCode = EXIT.notFit;
  return { lines: linesOf({ ...dataset, files: [] }), document: { dataset, links: dataset.links ?? {} } };
}

async function linksFor(
  { control, mask }: Options,
  { mask: keptMask, ...keptControls }: LinkIds,
  idOf: (nameOrId: string) => Promise<string>,
): Promise<LinkIds> {
  const named = control || [];
  if (named.length > MAX_CONTROLS) {
    const message = `a dataset has at most ${MAX_CONTROLS} controls, and ${named.length} are named.`;
    throw new CommandError(EXIT.usage, message);
  }
  const controls = await Promise.all(named.map(async (name, i) => [`control_${i + 1}`, await idOf(name)]));
  const maskId = mask === undefined ? keptMask : mask !== false && (await idOf(mask));
  return { ...(control === undefined ? keptControls : Object.fromEntries(controls)), ...(maskId && { mask: maskId }) };
}

function linesOf(dataset: DatasetWithFiles): string[] {
  const paint = painterOf(process.stdout);
  const { name, role, links = {}, warnings = [] } = dataset;
  const isUnlinked = role === 'training' && Object.keys(links).length === 0;
  return [
    `${paint('bold', printable(name))}${isUnlinked ? '  has no control and no mask' : ''}`,
    ...linkLines(dataset, paint),
    ...statusLines(dataset, paint),
    ...warnings.filter(isPairProblem).map(({ message }) => problemLine(paint, '!', message)),
  ];
}
