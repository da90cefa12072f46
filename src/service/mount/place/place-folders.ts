import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { hasErrno } from '../../../dataset/errors.js';
import type { MediaChoice } from '../../../dataset/train/training-dataset.js';
import { bootId } from '../../../storage/boot-id.js';
import { makeFolders } from '../../../storage/make-folders.js';
import { syncFolder } from '../../../storage/sync-folder.js';
import { packageVersion } from '../../../version.js';
import type { MountableDataset } from '../check-manifest.js';
import {
  hasLeftovers,
  type MountPaths,
  mountPathsOf,
  moveIntoPlace,
  type PlacedFolder,
  removeLeftovers,
} from '../mount-paths.js';
import { DatasetChanged, MountError } from '../mount-source.js';
import {
  type FolderState,
  folderStateOf,
  type MountLayout,
  type RecordedDataset,
  readRecord,
  writeRecord,
} from '../mounted-folder.js';
import { withRootLock } from '../root-lock.js';
import { type FolderPart, type StagingOptions, stageFiles } from '../staging/stage-files.js';
import { closeStaging, discardStaging } from '../staging/staging-folder.js';
import { earlierFoldersOf, followRename, removeEarlier } from './earlier-names.js';
import { type Replacement, requireReplaceable } from './replaceable.js';
import {
  outdatedTargets,
  type RecordedFolder,
  recordedFoldersIn,
  warningAbout,
  withdrawMoment,
} from './root-records.js';

/** A folder to be mounted. */
export interface FolderPlan extends Pick<Replacement, 'onlyOf'> {
  /** Its name is that of the folder. */
  readonly dataset: Pick<MountableDataset, 'datasetId' | 'name' | 'digest' | 'revision'>;
  /** The first one is that of the dataset; the others are of its linked datasets. */
  readonly parts: readonly [FolderPart, ...FolderPart[]];
  readonly only: MediaChoice | undefined;
  readonly layout: MountLayout | undefined;
  /** Missing if the record keeps what it says. */
  readonly mountedWith: readonly RecordedDataset[] | undefined;
}

export interface PlacementOptions extends StagingOptions, Pick<Replacement, 'replaces'> {
  readonly root: string;
  /** Removes what was staged also if a dataset has changed: there is no further attempt. */
  readonly isLast: boolean;
  /** Called if another process is mounting into the same root. */
  readonly onWaiting?: () => void;
}

export interface PlacementResult {
  readonly outcome: 'mounted' | 'unchanged';
  readonly folder: string;
  /** The name of the folder before the dataset was renamed. */
  readonly renamedFrom: string | undefined;
  /** What is left beside the folder, and why. The trainer does not read it. */
  readonly warnings: readonly string[];
}

/** A folder while it is mounted. */
interface Placement {
  readonly plan: FolderPlan;
  readonly paths: MountPaths;
  readonly replacement: Replacement;
  readonly warnings: Set<string>;
  existing: FolderState;
  renamedFrom?: string;
  /** Folders of the dataset under earlier names, to be removed. */
  earlier: readonly MountPaths[];
}

/**
 * Brings folders up to date. All new ones are staged and checked before the first of them is moved into place, and if one
 * can't be moved, the others are moved back. The first plan is placed last: a target never appears before its controls.
 *
 * @returns a result for each plan
 * @throws MountError; DatasetChanged; the errors of the sources; the signal's reason. The folders are unchanged then.
 */
export async function placeFolders(
  plans: readonly FolderPlan[],
  options: PlacementOptions,
): Promise<readonly PlacementResult[]> {
  const { root, replaces } = options;
  const placements: Placement[] = [];
  for (const plan of plans) {
    const paths = mountPathsOf(root, plan.dataset.name);
    const existing = await folderStateOf(paths.folder);
    const replacement = { replaces, onlyOf: plan.onlyOf };
    placements.push({ plan, paths, replacement, existing, warnings: new Set(), earlier: [] });
  }
  const areCurrent = placements.every((placement) => isUnchanged(placement) && isRecordCurrent(placement));
  if (areCurrent && !(await anyLeftovers(placements))) return placements.map((placement) => resultOf(placement));
  await makeFolders(root).catch((error) => {
    throw new MountError('cannot_write', `${root} can't be created: ${error.message}`, { cause: error });
  });
  if ((await readRecord(root)) !== undefined) {
    const message = `${root} is a mounted dataset itself, and the trainer would read both datasets. Use the folder above it.`;
    throw new MountError('occupied', message);
  }
  return withRootLock(root, options, () => placeLocked(placements, options));
}

async function anyLeftovers(placements: readonly Placement[]): Promise<boolean> {
  for (const { paths } of placements) if (await hasLeftovers(paths)) return true;
  return false;
}

async function placeLocked(placements: readonly Placement[], options: PlacementOptions): Promise<PlacementResult[]> {
  for (const placement of placements) {
    const { paths, replacement, warnings } = placement;
    addAll(warnings, await removeLeftovers(paths));
    placement.existing = await folderStateOf(paths.folder);
    if (!isUnchanged(placement)) requireReplaceable(placement.existing, paths, replacement);
  }
  const recorded = await recordedFoldersIn(options.root);
  await followRenames(placements, { root: options.root, recorded });
  const outdated = placements.filter((placement) => !isUnchanged(placement));
  for (const placement of placements) {
    if (!outdated.includes(placement)) addAll(placement.warnings, await discardStaging(placement.paths));
  }
  try {
    for (const placement of outdated) await stage(placement, options);
    options.signal.throwIfAborted();
    // An old folder may have been changed while the new ones were written.
    for (const { paths, replacement } of outdated) {
      requireReplaceable(await folderStateOf(paths.folder), paths, replacement);
    }
  } catch (error) {
    if (!canResume(error, outdated, options)) for (const { paths } of outdated) await discardStaging(paths);
    throw error;
  }
  const renamed = new Set(
    placements.flatMap(({ renamedFrom, earlier }) => [renamedFrom, ...earlier.map((e) => e.name)]),
  );
  const others = outdatedTargets(
    recorded.filter(({ name }) => !renamed.has(name)),
    placements.map(({ plan }) => plan.dataset),
  );
  const withdrawn = others.filter(({ hasOtherState }) => hasOtherState).map(({ name }) => join(options.root, name));
  const [target] = placements;
  // A single folder is replaced at one moment.
  if (outdated.length > 1 && outdated[0] === target) withdrawn.push(target!.paths.folder);
  await moveAllIntoPlace(outdated, { root: options.root, withdrawn });
  for (const placement of placements) {
    const { paths, warnings, earlier } = placement;
    if (!outdated.includes(placement)) await renewRecord(placement);
    addAll(warnings, await removeEarlier(earlier));
    addAll(warnings, await removeLeftovers(paths));
  }
  addAll(placements[0]!.warnings, others.map(warningAbout));
  return placements.map((placement) => resultOf(placement, outdated.includes(placement) ? 'mounted' : 'unchanged'));
}

function addAll(warnings: Set<string>, more: readonly string[]): void {
  for (const warning of more) warnings.add(warning);
}

/** Moves the folders of datasets that were renamed, where the new name is free. */
async function followRenames(
  placements: readonly Placement[],
  { root, recorded }: { root: string; recorded: readonly RecordedFolder[] },
): Promise<void> {
  for (const placement of placements) {
    const { plan, paths, warnings } = placement;
    const { dataset, parts } = plan;
    const found = await earlierFoldersOf({ ...dataset, source: parts[0].source.name }, { root, recorded });
    addAll(warnings, found.warnings);
    const [first, ...others] = found.folders;
    const isFree = placement.existing.state === 'absent';
    placement.earlier = isFree ? others : found.folders;
    if (first === undefined || !isFree) continue;
    await followRename(first, paths);
    placement.renamedFrom = first.name;
    placement.existing = await folderStateOf(paths.folder);
  }
}

async function stage({ plan, paths, warnings }: Placement, options: PlacementOptions): Promise<void> {
  const { dataset, parts, only, layout, mountedWith } = plan;
  const { files, warnings: more } = await stageFiles(paths, parts, options);
  addAll(warnings, more);
  await writeRecord(paths.staging, {
    trainyard: packageVersion(),
    dataset_id: dataset.datasetId,
    name: dataset.name,
    digest: dataset.digest,
    ...(only !== undefined && { only }),
    ...(layout !== undefined && { layout }),
    ...(mountedWith !== undefined && { mounted_with: mountedWith }),
    source: parts[0].source.name,
    mounted_at: new Date().toISOString(),
    boot_id: await bootId(),
    files,
  });
  await closeStaging(paths);
}

/** Whether a later mount can resume from the files that were staged. */
function canResume(error: unknown, placements: readonly Placement[], { isLast }: PlacementOptions): boolean {
  const isUnstable = error instanceof DatasetChanged && isLast;
  const isDamaged = error instanceof MountError && error.code === 'damaged';
  // Copying a data folder can't be resumed.
  const isCopied = placements.some(({ plan }) => plan.parts.some(({ source }) => source.kind === 'data-folder'));
  return !(isCopied || isDiskFull(error) || isDamaged || isUnstable);
}

/** @param options.withdrawn the folders of targets whose records name states that are replaced now */
async function moveAllIntoPlace(
  placements: readonly Placement[],
  { root, withdrawn }: { root: string; withdrawn: readonly string[] },
): Promise<void> {
  const placed: PlacedFolder[] = [];
  const restoreRecords: (() => Promise<void>)[] = [];
  try {
    for (const folder of withdrawn) restoreRecords.push(await withdrawMoment(folder));
    for (const { paths } of placements.toReversed()) placed.push(await moveIntoPlace(paths));
  } catch (error) {
    for (const folder of placed.toReversed()) await folder.undo();
    for (const restore of restoreRecords) await restore();
    throw error;
  }
  await syncFolder(root);
  for (const folder of placed) await folder.keep();
}

/** Brings the record of an unchanged folder up to date: its dataset was renamed, or is mounted with others now. */
async function renewRecord(placement: Placement): Promise<void> {
  const { plan, paths, existing } = placement;
  if (existing.state !== 'mounted' || isRecordCurrent(placement)) return;
  const { mountedWith = existing.record.mounted_with } = plan;
  const together = mountedWith !== undefined && { mounted_with: mountedWith };
  const { files, ...record } = existing.record;
  await writeRecord(paths.folder, { ...record, name: plan.dataset.name, ...together, files });
}

function isUnchanged({ existing, plan }: Placement): boolean {
  if (existing.state !== 'mounted') return false;
  const { record, changed, halfWritten, unexpected } = existing;
  const { dataset, parts, only, layout } = plan;
  if (record.digest !== dataset.digest || record.only !== only || record.layout !== layout) return false;
  // Captions of a dataset that has become a control are left out.
  if (record.files.length !== parts.reduce((sum, { files }) => sum + files.length, 0)) return false;
  return changed.length + halfWritten.length + unexpected.length === 0;
}

function isRecordCurrent({ existing, plan }: Placement): boolean {
  if (existing.state !== 'mounted') return false;
  const { name, mounted_with: mountedWith } = existing.record;
  return (
    name === plan.dataset.name && (plan.mountedWith === undefined || isDeepStrictEqual(mountedWith, plan.mountedWith))
  );
}

function resultOf(
  { paths, renamedFrom, warnings }: Placement,
  outcome: PlacementResult['outcome'] = 'unchanged',
): PlacementResult {
  return { outcome, folder: paths.folder, renamedFrom, warnings: [...warnings] };
}

export function isDiskFull(error: unknown): boolean {
  return hasErrno(error, 'ENOSPC', 'EDQUOT');
}
