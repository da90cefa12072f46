import type { DatasetWithFiles } from '../../client/client.js';
import { type PairFolder, type PairPart, pairDatasetsOf } from '../../dataset/pairs/pair-folders.js';
import { type PushPlan, preparePush } from '../push/plan.js';
import { type PushFlags, type PushTools, pushTaskFrom, requireRole } from '../push/task.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { printable } from '../terminal/text.js';

/** A sub-folder of a folder of pairs, and the push of it to its dataset. */
export interface PartPush {
  readonly part: PairPart;
  /** Its name, such as `control_1`. */
  readonly folder: string;
  readonly plan: PushPlan;
}

/** The pushes of a folder of pairs, compared with the datasets as they are. */
export interface PreparedPairs {
  /** The name of the training dataset. */
  readonly name: string;
  /** The training dataset; `undefined` if it does not exist yet. */
  readonly target: DatasetWithFiles | undefined;
  /** In the order target, controls, mask. */
  readonly parts: readonly PartPush[];
}

/** The sub-folder of targets, controls or masks, and its files. */
export type PartFolder = PairFolder & { readonly path: string };

/**
 * Compares each sub-folder with its dataset. That is the one which the training dataset is linked to already, under any name,
 * and otherwise `NAME-control`, `NAME-control-1` or `NAME-mask`. Changes nothing.
 *
 * @param name the name or ID of the training dataset
 * @throws CommandError if a dataset has another role, or if there is neither a training dataset nor a folder for it
 */
export async function preparePairs(
  flags: PushFlags,
  { name: nameOrId, folders, tools }: { name: string; folders: readonly PartFolder[]; tools: PushTools },
): Promise<PreparedPairs> {
  const { client, signal } = tools;
  const found = await client.find(nameOrId, { signal });
  if (found !== undefined) requireRole(found, 'training');
  const name = found?.name ?? nameOrId;
  if (found === undefined && !folders.some(({ part }) => part === 'target')) {
    const message = `there is no folder target/, and no dataset "${printable(name)}" that could have the targets.`;
    throw new CommandError(EXIT.noInput, message);
  }
  const target = found && (await client.status(found.id, { signal }));
  const links = target?.links ?? {};
  const parts: PartPush[] = [];
  for (const { part, folder, name: newName, role } of pairDatasetsOf(name, folders)) {
    const path = folders.find((each) => each.folder === folder)?.path ?? folder;
    const linked = part === 'target' ? undefined : links[part];
    const place = { paths: [path], name: linked?.name ?? newName, role };
    const task = await pushTaskFrom(part === 'target' ? flags : withoutCaptions(flags), { ...place, tools });
    parts.push({ part, folder, plan: await preparePush(task) });
  }
  return { name, target, parts };
}

/** Controls and masks have no captions. */
function withoutCaptions({ trigger: _, captionAll: _all, allowUncaptioned: _allow, ...flags }: PushFlags): PushFlags {
  return flags;
}
