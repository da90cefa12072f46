import { readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { type FixedFiles, fixFiles } from '../fix/fix-files.js';
import { isFolder, unreadable } from '../folder/read-folder.js';
import { type Finding, firstLines, localAdvice, totalsOf } from '../folder/report.js';
import { linkIdsOf } from './links.js';
import {
  type PushFlags,
  type PushPlan,
  type PushTools,
  findOrCreate,
  planOf,
  preparePush,
  pushTaskFrom,
  requireRole,
} from '../push/plan.js';
import {
  type PushReport,
  dryRunDocument,
  dryRunExitCode,
  planLines,
  printDryRun,
  printEnded,
  pushDocument,
  pushExitCode,
  requireNoBlockers,
  runPush,
  waitForEnd,
  withDecisions,
} from '../push/push.js';
import { withLockedFolders } from '../sync/lock-folders.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { painterOf, print, printJson, problemLine, withOwnCommand } from '../terminal/print.js';
import { counted, printable } from '../terminal/text.js';
import type { DatasetFile, DatasetWithFiles, LinkSlot } from '../../client/client.js';
import { stemGroupsOf } from '../../dataset/counts.js';
import { mediaTypeOf, stemOf } from '../../dataset/media.js';
import {
  PAIR_FAULTS,
  type PairFile,
  type PairProof,
  isPairError,
  provePairs,
} from '../../dataset/pairs/pair-faults.js';
import { pairFindingsOf } from '../../dataset/pairs/pair-findings.js';
import { type PairFolder, pairDatasetsOf, pairFoldersOf } from '../../dataset/pairs/pair-folders.js';
import { slotText } from '../../dataset/pairs/roles.js';
import type { Problem } from '../../dataset/problems.js';

/** A folder of pairs, and what `--fix` did in it. */
type PartFolder = PairFolder & { readonly path: string } & Pick<FixedFiles, 'fixed'>;

interface PartPush extends PartFolder {
  readonly plan: PushPlan;
}

interface PairsPlan {
  readonly name: string;
  /** The training dataset; `undefined` if it does not exist yet. */
  readonly target: DatasetWithFiles | undefined;
  /** In the order target, controls, mask. */
  readonly parts: readonly PartPush[];
  /** Sentences about entries that are in none of the folders. */
  readonly leftOut: readonly string[];
}

/** Names of datasets. */
type Linked = Readonly<Partial<Record<LinkSlot, string>>>;

interface PushedPairs {
  /** In the order of the parts. */
  readonly reports: readonly PushReport[];
  readonly target: DatasetWithFiles;
  readonly linked: Linked;
}

/** Pushes the sub-folders of a folder of pairs to a dataset each, and links these. @throws CommandError with 65 for errors */
export async function pushPairsOnce(
  root: string,
  flags: PushFlags,
  { name, tools }: { name: string; tools: PushTools },
): Promise<void> {
  const { folders, leftOut } = await readPairFolder(root, flags);
  const parts: PartFolder[] = [];
  for (const each of folders) {
    const { fixed } = await fixFiles([each.path], flags, { ...tools, endsIfDeclined: true });
    parts.push({ ...each, fixed });
  }
  const plan = async () => {
    const planned = withIntactPairs({ ...(await preparePairs(name, parts, { flags, tools })), leftOut }, flags);
    if (!flags.json) printPairs(planned);
    requireNoErrors(planned, flags);
    return planned;
  };
  if (flags.dryRun) {
    const pairs = await plan();
    process.exitCode = Math.max(0, ...pairs.parts.map((part) => dryRunExitCode(part.plan)));
    return flags.json ? printJson(dryRunOfPairs(pairs)) : printPairsDryRun(pairs);
  }
  const paths = folders.map(({ path }) => path);
  const { pairs, sent } = await withLockedFolders(paths, tools, async () => {
    const planned = await plan();
    const asked: PartPush[] = [];
    for (const each of planned.parts) asked.push({ ...each, plan: await withDecisions(each.plan) });
    const decided = { ...planned, parts: asked };
    requireNoErrors(decided, flags);
    return { pairs: decided, sent: await runPairs(decided, tools) };
  });
  const { latest, reports } = await waitForEnd(sent.reports, { task: { flags, ...tools }, dataset: sent.target });
  const pushed = { linked: sent.linked, target: latest, reports };
  process.exitCode = exitCodeOf(pushed);
  if (flags.json) printJson(documentOfPairs(pairs, pushed));
  else await printPushed(pairs, pushed);
}

/** @throws CommandError with 64 for a file, 66 without folders of pairs, 65 if they don't make pairs */
async function readPairFolder(root: string, { follow }: PushFlags) {
  const shown = printable(root);
  if (!(await isFolder(root))) throw new CommandError(EXIT.usage, `--pairs takes a folder, and ${shown} is a file.`);
  const names = await readdir(root).catch(unreadable(root));
  const visible = names.filter((name) => !name.startsWith('.')).sort();
  const folders: string[] = [];
  for (const name of visible) {
    const stats = await stat(join(root, name)).catch(() => undefined);
    if (stats?.isDirectory()) folders.push(name);
  }
  const pairs = pairFoldersOf(folders);
  if (pairs === undefined) {
    const message = `${shown} is not a folder of pairs. It needs a folder target/ with the images to train on and their captions, and control/ (or control_1/ to control_3/) or mask/ with images of the same names.`;
    throw new CommandError(EXIT.noInput, message);
  }
  if (pairs.fault !== undefined) throw new CommandError(EXIT.dataError, `${shown}: ${printable(pairs.fault)}`);
  const paths = pairs.folders.map((each) => ({ ...each, path: join(root, each.folder) }));
  if (!follow) for (const { path } of paths) await requireInside(root, path);
  // `--fix` keeps originals beside the folders.
  const known = new Set(pairs.folders.flatMap(({ folder }) => [folder, `${folder}.orig`]));
  const leftOut = visible
    .filter((name) => !known.has(name))
    .map((name) => `${printable(name)}${folders.includes(name) ? '/ is not a' : ' is in no'}`)
    .map((subject) => `${subject} folder of targets, controls or masks.`);
  return { folders: paths, leftOut };
}

async function requireInside(root: string, path: string): Promise<void> {
  const [folder, target] = await Promise.all([realpath(root), realpath(path)]);
  if (target.startsWith(folder + sep)) return;
  const message = `${printable(path)} is a link that leads out of the folder. To follow such links, add --follow.`;
  throw new CommandError(EXIT.dataError, message);
}

/** Compares each sub-folder with the linked dataset, or `NAME-control` or `NAME-mask`. @throws CommandError for another role */
async function preparePairs(
  nameOrId: string,
  folders: readonly PartFolder[],
  { flags, tools }: { flags: PushFlags; tools: PushTools },
): Promise<Omit<PairsPlan, 'leftOut'>> {
  const { client, signal } = tools;
  const found = await client.find(nameOrId, { signal });
  if (found !== undefined) requireRole(found, 'training');
  const name = found?.name ?? nameOrId;
  if (found === undefined && !folders.some(({ part }) => part === 'target')) {
    const message = `there is no folder target/, and no dataset "${printable(name)}" that could have the targets.`;
    throw new CommandError(EXIT.noInput, message);
  }
  const target = found && (await client.status(found.id, { signal }));
  const { trigger: _, captionAll: _all, allowUncaptioned: _allow, ...withoutCaptions } = flags;
  const parts: PartPush[] = [];
  for (const [i, { part, name: newName, role }] of pairDatasetsOf(name, folders).entries()) {
    const linked = part === 'target' ? undefined : target?.links?.[part];
    const place = { paths: [folders[i]!.path], name: linked?.name ?? newName, role };
    const task = await pushTaskFrom(part === 'target' ? flags : withoutCaptions, { ...place, tools });
    parts.push({ ...folders[i]!, plan: await preparePush(task) });
  }
  return { name, target, parts };
}

/** With `--skip-bad`, targets without an intact pair are left out, with their captions. */
function withIntactPairs(pairs: PairsPlan, { skipBad }: PushFlags): PairsPlan {
  const { badStems } = comparePairs(pairs);
  if (!skipBad || badStems.size === 0) return pairs;
  const parts = pairs.parts.map((each) => {
    if (each.part !== 'target') return each;
    const without = each.plan.files.flatMap(({ name: filename }) => {
      const folder = badStems.get(stemOf(filename));
      if (folder === undefined) return [];
      const message = `${printable(filename)} has no pair in ${printable(folder)}/ that the trainer could use.`;
      return [{ code: 'UNPAIRED', filename, message }];
    });
    return { ...each, plan: planOf({ ...each.plan, without }) };
  });
  return { ...pairs, parts };
}

/** @throws CommandError with 65 and the options that help, if errors prevent the push */
function requireNoErrors(pairs: PairsPlan, { allowUnpaired, skipBad }: PushFlags): void {
  const ofFiles = pairs.parts.flatMap(({ folder, plan }) => plan.blockers.map((problem) => ({ folder, ...problem })));
  const ofPairs = allowUnpaired ? [] : comparePairs(pairs).errors;
  requireNoBlockers([...ofFiles, ...ofPairs], { skipBad, unpaired: ofPairs.length });
}

/** Pushes the targets last, so that no new target is without its pair in between. */
async function runPairs({ parts, target: found }: PairsPlan, { client, signal }: PushTools): Promise<PushedPairs> {
  const reports = new Map<PartPush, PushReport>();
  for (const each of parts) if (each.part !== 'target') reports.set(each, await runPush(each.plan));
  const targetPart = parts.find(({ part }) => part === 'target');
  const { id } = targetPart === undefined ? found! : await findOrCreate(targetPart.plan.task);
  const { links } = await client.status(id, { signal });
  // Links to datasets without a folder here stay.
  const ids: Partial<Record<LinkSlot, string>> = linkIdsOf(links);
  const linked: Partial<Record<LinkSlot, string>> = {};
  for (const [{ part }, { dataset }] of reports) {
    if (part === 'target' || ids[part] === dataset.id) continue;
    ids[part] = dataset.id;
    linked[part] = dataset.name;
  }
  if (Object.keys(linked).length > 0) await client.pairs.setLinks(id, ids, { signal });
  if (targetPart !== undefined) reports.set(targetPart, await runPush(targetPart.plan));
  return { linked, reports: parts.map((each) => reports.get(each)!), target: await client.status(id, { signal }) };
}

/** 73 after conflicts; otherwise 1 if a dataset is FAILED; otherwise the code of the first file that could not be sent. */
function exitCodeOf({ reports, target }: PushedPairs): number {
  const codes = reports.map(pushExitCode);
  if (codes.includes(EXIT.cannotCreate)) return EXIT.cannotCreate;
  if (target.status === 'FAILED') return EXIT.notFit;
  return codes.find((code) => code !== 0) ?? 0;
}

function printPairs(pairs: PairsPlan): void {
  const paint = painterOf(process.stdout);
  for (const { folder, plan } of pairs.parts) {
    print(`${paint('bold', `${printable(folder)}/`)}  ${totalsOf(plan.inspection.inspected.map(({ file }) => file))}`);
    for (const line of planLines(plan, paint)) print(line);
  }
  const skipped = pairs.leftOut.map((sentence) => paint('dim', `- ${sentence}`));
  for (const line of firstLines(skipped, 'entry left out', 'entries left out')) print(line);
  const { errors, warnings, targets } = comparePairs(pairs);
  for (const { message } of errors) print(problemLine(paint, '✗', localAdvice(message)));
  for (const { message } of warnings) print(problemLine(paint, '!', localAdvice(message)));
  if (errors.length > 0) return;
  const places = pairs.parts.flatMap(({ part }) => (part === 'target' ? [] : [slotText(part)]));
  print(`${counted(targets, 'target')}, each with ${places.join(' and ')}.`);
}

async function printPairsDryRun(pairs: PairsPlan): Promise<void> {
  for (const { plan } of pairs.parts) await printDryRun(plan);
  const linked = newLinksOf(pairs);
  if (Object.keys(linked).length > 0) print(`Would link ${linkedText(pairs.name, linked)}.`);
}

async function printPushed({ parts }: PairsPlan, { reports, target, linked }: PushedPairs): Promise<void> {
  const isTarget = (_: PushReport, i: number) => parts[i]?.part === 'target';
  for (const report of reports.filter((each, i) => !isTarget(each, i))) await printEnded(report);
  if (Object.keys(linked).length > 0) print(withOwnCommand(`Linked ${linkedText(target.name, linked)}.`));
  for (const report of reports.filter(isTarget)) await printEnded(report);
}

function dryRunOfPairs(pairs: PairsPlan): Record<string, unknown> {
  const parts = pairs.parts.map(({ part, folder, fixed, plan }) => {
    const { dry_run: _, ...document } = dryRunDocument(plan);
    return [part, { folder, ...document, ...fixed }];
  });
  const { name, target } = pairs;
  const dataset = { dry_run: true, name, exists: target !== undefined, link: newLinksOf(pairs) };
  return { ...dataset, parts: Object.fromEntries(parts), ...comparedDocument(pairs) };
}

function documentOfPairs(pairs: PairsPlan, pushed: PushedPairs): Record<string, unknown> {
  const { files: _, ...dataset } = pushed.target;
  const parts = pairs.parts.map(({ part, folder, fixed }, i) => {
    return [part, { folder, ...pushDocument(pushed.reports[i]!), ...fixed }];
  });
  return { dataset, linked: pushed.linked, parts: Object.fromEntries(parts), ...comparedDocument(pairs) };
}

function comparedDocument(pairs: PairsPlan) {
  const { targets, proofs, errors, warnings } = comparePairs(pairs);
  return { pairs: { targets, errors, warnings, stems: Object.fromEntries(proofs) }, left_out: pairs.leftOut };
}

function newLinksOf({ parts, target }: PairsPlan): Linked {
  const fresh = parts.flatMap(({ part, plan: { task } }) =>
    part === 'target' || target?.links?.[part] !== undefined ? [] : [[part, task.name] as const],
  );
  return Object.fromEntries(fresh);
}

/** `"railway" to "railway-control" (control 1) and "railway-mask" (mask)` */
function linkedText(name: string, linked: Linked): string {
  const others = Object.entries(linked).map(([slot, other]) => `"${printable(other)}" (${slotText(slot as LinkSlot)})`);
  return `"${printable(name)}" to ${others.join(' and ')}`;
}

interface ComparedPairs {
  readonly errors: readonly Finding[];
  readonly warnings: readonly Finding[];
  readonly targets: number;
  /** The stems with each fault, for each control and mask of the folder. */
  readonly proofs: ReadonlyMap<LinkSlot, PairProof>;
  /** The folders with unusable pairs, by the stems of their targets. */
  readonly badStems: ReadonlyMap<string, string>;
}

/** Compares targets, controls and masks as they will be after the push. */
function comparePairs({ name, target, parts }: PairsPlan): ComparedPairs {
  const pushed = parts.find(({ part }) => part === 'target')?.plan;
  const targets = stemGroupsOf(pushed === undefined ? keptFiles(target) : filesAfter(pushed));
  const problems: Problem[] = [];
  const proofs = new Map<LinkSlot, PairProof>();
  const badStems = new Map<string, string>();
  for (const { part, folder, plan } of parts) {
    if (part === 'target') continue;
    const groups = stemGroupsOf(filesAfter(plan));
    const proof = provePairs(targets, groups, part);
    proofs.set(part, proof);
    // Each folder's own findings cover the warnings.
    problems.push(...pairFindingsOf(name, { slot: part, name: plan.task.name, groups, proof, warnings: [] }));
    for (const fault of PAIR_FAULTS.filter(isPairError)) for (const stem of proof[fault]) badStems.set(stem, folder);
  }
  const of = (wanted: Problem['severity']) =>
    problems.filter(({ severity }) => severity === wanted).map(({ severity: _, ...rest }) => rest);
  return { errors: of('error'), warnings: of('warning'), targets: targets.size, proofs, badStems };
}

function filesAfter({ dataset, files, report, toRemove }: PushPlan): PairFile[] {
  const pushed = new Set(files.map((file) => file.name));
  const sent = report.inspected.flatMap(({ file: { filename }, inspection }) =>
    pushed.has(filename) && inspection.ok ? pairFile({ filename, ...inspection.facts }) : [],
  );
  return [...sent, ...keptFiles(dataset, new Set([...pushed, ...toRemove]))];
}

function keptFiles(dataset: DatasetWithFiles | undefined, without: ReadonlySet<string> = new Set()): PairFile[] {
  const files = [...(dataset?.files ?? []), ...(dataset?.checking ?? [])];
  return files.filter(({ filename }) => !without.has(filename)).flatMap(pairFile);
}

type SizedFile = Pick<DatasetFile, 'filename' | 'width' | 'height'>;

/** Without a size, a pair has no fault of sizes. */
function pairFile({ filename, width = 0, height = 0 }: SizedFile): PairFile[] {
  const kind = mediaTypeOf(filename)?.kind ?? 'caption';
  return kind === 'caption' ? [] : [{ filename, kind, upload: { facts: { kind, format: '', width, height } } }];
}
