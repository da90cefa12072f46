import { readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { DatasetFile, DatasetWithFiles, LinkSlot } from '../../client/client.js';
import { stemGroupsOf } from '../../dataset/counts.js';
import type { Facts } from '../../dataset/inspect/inspection.js';
import { mediaTypeOf } from '../../dataset/media.js';
import { isPairError, PAIR_FAULTS, type PairFile } from '../../dataset/pairs/pair-faults.js';
import { pairFindingsOf } from '../../dataset/pairs/pair-findings.js';
import { type PairFolder, type PairPart, pairDatasetsOf, pairFoldersOf } from '../../dataset/pairs/pair-folders.js';
import { type PairProof, provePairs } from '../../dataset/pairs/pair-proof.js';
import type { Problem } from '../../dataset/problems.js';
import { isFolder } from '../folder/read-folder.js';
import { type PushPlan, preparePush } from '../push/plan.js';
import type { PushReport } from '../push/run.js';
import { type PushFlags, type PushTools, pushTaskFrom, requireRole } from '../push/task.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { errorMessage, printable } from '../terminal/text.js';

/** What is in a folder of pairs. */
export interface PairFolderContents {
  /** In the order target, controls, mask. */
  readonly folders: readonly (PairFolder & { readonly path: string })[];
  /** Sentences about entries that are in none of these folders. */
  readonly leftOut: readonly string[];
}

/**
 * Finds the sub-folders with targets, controls and masks.
 *
 * @param options.follow follows links that lead out of the folder
 * @throws CommandError with 64 if the path is not a folder, 66 if it has no such sub-folders, 65 if they don't make pairs
 */
export async function readPairFolder(root: string, { follow }: { follow: boolean }): Promise<PairFolderContents> {
  const shown = printable(root);
  if (!(await isFolder(root))) throw new CommandError(EXIT.usage, `--pairs takes a folder, and ${shown} is a file.`);
  const names = await readdir(root).catch((error) => {
    throw new CommandError(EXIT.noInput, `${shown} can't be read: ${errorMessage(error)}.`, { cause: error });
  });
  const visible = names.filter((name) => !name.startsWith('.')).sort();
  const folders: string[] = [];
  for (const name of visible) if (await isFolderOrLink(join(root, name))) folders.push(name);
  const pairs = pairFoldersOf(folders);
  if (pairs === undefined) {
    const message = `${shown} is not a folder of pairs. It needs a folder target/ with the images to train on and their captions, and control/ (or control_1/ to control_3/) or mask/ with images of the same names.`;
    throw new CommandError(EXIT.noInput, message);
  }
  if (pairs.fault !== undefined) throw new CommandError(EXIT.dataError, `${shown}: ${printable(pairs.fault)}`);
  const paths = pairs.folders.map((each) => ({ ...each, path: join(root, each.folder) }));
  if (!follow) for (const { path } of paths) await requireInside(root, path);
  const isPart = (name: string) => pairs.folders.some(({ folder }) => folder === name);
  const leftOut = visible.filter((name) => !isPart(name) && !isOfOriginals(name, pairs.folders));
  return { folders: paths, leftOut: leftOut.map((name) => leftOutText(name, { isFolder: folders.includes(name) })) };
}

/** Whether a path is a folder or a link to one; false for a broken link. */
async function isFolderOrLink(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}

async function requireInside(root: string, path: string): Promise<void> {
  const [folder, target] = await Promise.all([realpath(root), realpath(path)]);
  if (target.startsWith(folder + sep)) return;
  const message = `${printable(path)} is a link that leads out of the folder. To follow such links, add --follow.`;
  throw new CommandError(EXIT.dataError, message);
}

/** `--fix` keeps originals in such folders. */
function isOfOriginals(name: string, folders: readonly PairFolder[]): boolean {
  return folders.some(({ folder }) => name === `${folder}.orig`);
}

function leftOutText(name: string, { isFolder: isDirectory }: { isFolder: boolean }): string {
  return isDirectory
    ? `${printable(name)}/ is not a folder of targets, controls or masks.`
    : `${printable(name)} is in no folder of targets, controls or masks.`;
}

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

/**
 * Compares each sub-folder with its dataset. That is the one which the training dataset is linked to already, under any name,
 * and otherwise `NAME-control`, `NAME-control-1` or `NAME-mask`. Changes nothing.
 *
 * @param name the name or ID of the training dataset
 * @throws CommandError if a dataset has another role, or if there is neither a training dataset nor a folder for it
 */
export async function preparePairs(
  flags: PushFlags,
  { name: nameOrId, folders, tools }: { name: string; folders: PairFolderContents['folders']; tools: PushTools },
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

/** What is wrong with the pairs after a push, in the service's words. */
export interface ComparedPairs {
  readonly errors: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** The number of different stems of targets. */
  readonly targets: number;
  /** The stems with each fault, for each control and mask of the folder. */
  readonly proofs: ReadonlyMap<LinkSlot, PairProof>;
  /** The stems of targets that have an error, and in which folder. */
  readonly badStems: ReadonlyMap<string, PartPush>;
}

/** A folder of pairs whose pushes are planned, and what is wrong with the pairs after them. */
export interface PlannedPairs extends PreparedPairs {
  readonly compared: ComparedPairs;
}

/** What a push of pairs has done. */
export interface EndedPairs {
  /** In the order target, controls, mask. */
  readonly parts: readonly (PartPush & { readonly report: PushReport })[];
  /** The training dataset. */
  readonly target: DatasetWithFiles;
  /** Names of the datasets that were linked to it now, by their place. */
  readonly linked: Readonly<Partial<Record<LinkSlot, string>>>;
}

/** Compares targets, controls and masks as they are after the push, by the rules of the service. */
export function comparePairs({ name, target, parts }: PreparedPairs): ComparedPairs {
  const pushed = parts.find(({ part }) => part === 'target')?.plan;
  const targets = stemGroupsOf(pushed === undefined ? keptFiles(target, new Set()) : filesAfter(pushed));
  const findings: Problem[] = [];
  const proofs = new Map<LinkSlot, PairProof>();
  const badStems = new Map<string, PartPush>();
  for (const each of parts) {
    if (each.part === 'target') continue;
    const groups = stemGroupsOf(filesAfter(each.plan));
    const proof = provePairs(targets, groups, each.part);
    proofs.set(each.part, proof);
    // The files themselves have been judged with their folder.
    findings.push(...pairFindingsOf(name, { slot: each.part, name: each.plan.task.name, groups, proof, warnings: [] }));
    for (const fault of PAIR_FAULTS.filter(isPairError)) for (const stem of proof[fault]) badStems.set(stem, each);
  }
  return {
    errors: findings.filter(({ severity }) => severity === 'error'),
    warnings: findings.filter(({ severity }) => severity === 'warning'),
    targets: targets.size,
    proofs,
    badStems,
  };
}

/** The images and videos of a dataset after a push, as far as they are intact. */
function filesAfter({ dataset, files, report, toRemove }: PushPlan): PairFile[] {
  const pushed = new Set(files.map((file) => file.name));
  const sent = report.inspected.flatMap(({ file: { filename }, inspection }) =>
    pushed.has(filename) && inspection.ok ? pairFile(filename, inspection.facts) : [],
  );
  return [...sent, ...keptFiles(dataset, new Set([...pushed, ...toRemove]))];
}

function keptFiles(dataset: DatasetWithFiles | undefined, without: ReadonlySet<string>): PairFile[] {
  const files = [...(dataset?.files ?? []), ...(dataset?.checking ?? [])];
  return files
    .filter(({ filename }) => !without.has(filename))
    .flatMap((file) => pairFile(file.filename, factsOf(file)));
}

function factsOf({ filename, width, height, format = '' }: Partial<DatasetFile> & { filename: string }): Facts {
  const size = width === undefined || height === undefined ? {} : { width, height };
  return mediaTypeOf(filename)?.kind === 'image'
    ? { kind: 'image', format, width: 0, height: 0, ...size }
    : { kind: 'video', format, ...size };
}

function pairFile(filename: string, facts: Facts): PairFile[] {
  const kind = mediaTypeOf(filename)?.kind ?? 'caption';
  return kind === 'caption' ? [] : [{ filename, kind, upload: { facts } }];
}
