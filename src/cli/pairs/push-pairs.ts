import type { Dataset, LinkSlot } from '../../client/client.js';
import { stemOf } from '../../dataset/media.js';
import { type FixedFiles, fixBeforePush } from '../fix/fix-files.js';
import { askedPlan } from '../push/output.js';
import type { PushProblem } from '../push/plan.js';
import { endedReport, type PushReport, runPush, waitFor } from '../push/run.js';
import { findOrCreate, type PushFlags, type PushTools } from '../push/task.js';
import { withLockedFolders } from '../sync/lock-folders.js';
import { printJson } from '../terminal/print.js';
import { canAsk } from '../terminal/prompts.js';
import { printable } from '../terminal/text.js';
import { linkIdsOf } from './links.js';
import {
  blockedPairs,
  endedPairsDocument,
  pairsDryRunDocument,
  pairsDryRunExitCode,
  pairsExitCode,
  printEndedPairs,
  printPairs,
  printPairsDryRun,
} from './pairs-output.js';
import {
  type ComparedPairs,
  comparePairs,
  type EndedPairs,
  type PartPush,
  type PlannedPairs,
  type PreparedPairs,
  preparePairs,
  readPairFolder,
} from './prepare-pairs.js';

/**
 * Pushes the sub-folders of a folder of pairs to a dataset each, links them, and prints what was done.
 *
 * @param name the name or ID of the training dataset
 * @throws CommandError with 65 if errors prevent it
 */
export async function pushPairsOnce(
  root: string,
  flags: PushFlags,
  { name, tools }: { name: string; tools: PushTools },
): Promise<void> {
  const isJson = flags.json === true;
  const { folders, leftOut } = await readPairFolder(root, { follow: flags.follow === true });
  const fixed = new Map<string, FixedFiles>();
  for (const { folder, path } of folders) {
    fixed.set(folder, (await fixBeforePush([path], flags, { ...tools, follow: flags.follow === true })).fixed);
  }
  const plan = async () => {
    const planned = planPairs(await preparePairs(flags, { name, folders, tools }), flags);
    if (!isJson) printPairs(planned, leftOut);
    requireUnblocked(planned, flags);
    return planned;
  };
  if (flags.dryRun) {
    const planned = await plan();
    process.exitCode = pairsDryRunExitCode(planned);
    return isJson ? printJson(pairsDryRunDocument(planned, { leftOut, fixed })) : printPairsDryRun(planned);
  }
  const paths = folders.map(({ path }) => path);
  const { pairs, sent } = await withLockedFolders(paths, tools, async () => {
    const planned = await plan();
    const asked = isJson || !canAsk() ? planned : await askAboutPairs(planned);
    requireUnblocked(asked, flags);
    return { pairs: asked, sent: await runPairs(asked, tools) };
  });
  const ended = await waitForPairs(sent, tools);
  process.exitCode = pairsExitCode(ended);
  if (isJson) printJson(endedPairsDocument(pairs, ended, { leftOut, fixed }));
  else await printEndedPairs(ended);
}

function requireUnblocked(pairs: PlannedPairs, { allowUnpaired, skipBad }: PushFlags): void {
  const error = blockedPairs(pairs, { allowsUnpaired: allowUnpaired === true, skipsBad: skipBad === true });
  if (error !== undefined) throw error;
}

/** Compares the pairs. With `--skip-bad`, targets with an error in their pair are left out. */
function planPairs(pairs: PreparedPairs, { skipBad }: PushFlags): PlannedPairs {
  const compared = comparePairs(pairs);
  const leftOut = skipBad ? filesToLeaveOut(pairs, compared) : [];
  if (leftOut.length === 0) return { ...pairs, compared };
  const parts = pairs.parts.map((each) => {
    if (each.part !== 'target') return each;
    const plan = each.plan.decide(new Map(), leftOut);
    return { ...each, plan: { ...plan, decide: (decisions) => each.plan.decide(decisions, leftOut) } };
  }) satisfies PartPush[];
  return { ...pairs, parts, compared: comparePairs({ ...pairs, parts }) };
}

/** The images of targets without an intact pair, and their captions. */
function filesToLeaveOut({ parts }: PreparedPairs, { badStems }: ComparedPairs): PushProblem[] {
  const target = parts.find(({ part }) => part === 'target');
  return (target?.plan.files ?? []).flatMap(({ name }) => {
    const bad = badStems.get(stemOf(name));
    if (bad === undefined) return [];
    const message = `${printable(name)} has no pair in ${printable(bad.folder)}/ that the trainer could use.`;
    return [{ code: 'UNPAIRED', filename: name, message }];
  });
}

/** Asks about the conflicts of each part. */
async function askAboutPairs(pairs: PlannedPairs): Promise<PlannedPairs> {
  const parts: PartPush[] = [];
  for (const each of pairs.parts) parts.push({ ...each, plan: await askedPlan(each.plan) });
  return { ...pairs, parts, compared: comparePairs({ ...pairs, parts }) };
}

type SentPairs = Omit<EndedPairs, 'target'> & { readonly target: Dataset };

/** Pushes controls and masks, links them, and pushes the targets, so that no new target is without its pair in between. */
async function runPairs({ parts, target: found }: PlannedPairs, { client, signal }: PushTools): Promise<SentPairs> {
  const reports = new Map<PartPush, PushReport>();
  for (const each of parts) if (each.part !== 'target') reports.set(each, await runPush(each.plan));
  const targetPart = parts.find(({ part }) => part === 'target');
  const target = targetPart === undefined ? found : await findOrCreate(targetPart.plan.task);
  if (target === undefined) throw new Error('pairs without targets were prepared');
  // Links in other places stay.
  const ids: Partial<Record<LinkSlot, string>> = linkIdsOf((await client.pairs.links(target.id, { signal })).links);
  const linked: Partial<Record<LinkSlot, string>> = {};
  for (const [{ part }, { dataset }] of reports) {
    if (part === 'target' || ids[part] === dataset.id) continue;
    ids[part] = dataset.id;
    linked[part] = dataset.name;
  }
  if (Object.keys(linked).length > 0) await client.pairs.setLinks(target.id, ids, { signal });
  if (targetPart !== undefined) reports.set(targetPart, await runPush(targetPart.plan));
  return { target, linked, parts: parts.map((each) => ({ ...each, report: reports.get(each)! })) };
}

/** Waits for READY, if the pushes wait for it and all files were sent. Without files, the dataset would stay DRAFT. */
async function waitForPairs({ target, linked, parts }: SentPairs, { client, signal }: PushTools): Promise<EndedPairs> {
  const [first] = parts;
  const isComplete = parts.every(({ report }) => report.result.failed.length === 0);
  const isEmpty = (first?.part === 'target' ? first.report.dataset : target).status === 'DRAFT';
  const waits = first?.plan.task.waits === true && isComplete && !isEmpty;
  const latest = waits ? await waitFor(first.plan.task, target) : await client.status(target.id, { signal });
  const ended: EndedPairs['parts'][number][] = [];
  for (const { report, ...each } of parts) {
    const dataset = each.part === 'target' ? latest : await client.status(report.dataset.id, { signal });
    ended.push({ ...each, report: await endedReport(report, dataset) });
  }
  return { target: latest, linked, parts: ended };
}
