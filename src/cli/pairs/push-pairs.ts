import type { Dataset, DatasetWithFiles, LinkSlot, TrainyardClient } from '../../client/client.js';
import type { PairPart } from '../../dataset/pairs/pair-folders.js';
import { stemOf } from '../../dataset/media.js';
import { askedPlan } from '../push/output.js';
import type { PushPlan, PushProblem } from '../push/plan.js';
import { endedReport, type PushReport, runPush, waitFor } from '../push/run.js';
import { findOrCreate, type PushTools } from '../push/task.js';
import { printable } from '../terminal/text.js';
import { type ComparedPairs, comparePairs } from './compare-pairs.js';
import { linkIdsOf } from './link-ids.js';
import type { PartPush, PreparedPairs } from './pair-parts.js';

/** A folder of pairs whose pushes are planned, and what is wrong with the pairs after them. */
export interface PlannedPairs extends PreparedPairs {
  readonly compared: ComparedPairs;
}

/** What the push of one part has done. */
export interface EndedPart extends PartPush {
  readonly report: PushReport;
}

/** What a push of pairs has sent, removed and linked. */
interface SentPairs extends Pick<EndedPairs, 'linked'> {
  readonly target: Dataset;
  readonly reports: ReadonlyMap<PairPart, PushReport>;
  readonly isComplete: boolean;
}

/** What a push of pairs has done. */
export interface EndedPairs {
  /** In the order target, controls, mask. */
  readonly parts: readonly EndedPart[];
  /** The training dataset. */
  readonly target: DatasetWithFiles;
  /** Names of the datasets that were linked to it now, by their place. */
  readonly linked: Readonly<Partial<Record<LinkSlot, string>>>;
}

/** Compares the pairs. With `skipsBad`, targets with an error in their pair are left out. */
export function planPairs(pairs: PreparedPairs, { skipsBad }: { skipsBad: boolean }): PlannedPairs {
  const compared = comparePairs(pairs);
  const leftOut = skipsBad ? filesToLeaveOut(pairs, compared) : [];
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
export async function askAboutPairs(pairs: PlannedPairs): Promise<PlannedPairs> {
  const parts: PartPush[] = [];
  for (const each of pairs.parts) parts.push({ ...each, plan: await askedPlan(each.plan) });
  return { ...pairs, parts, compared: comparePairs({ ...pairs, parts }) };
}

/**
 * Sends controls and masks, links them, and sends the targets, so that no target is without its pair in between. Removals of
 * controls and masks come after those of targets, for the same reason.
 */
export async function runPairs(pairs: PlannedPairs, { client, signal }: PushTools): Promise<SentPairs> {
  const targetPart = pairs.parts.find(({ part }) => part === 'target');
  const others = pairs.parts.filter((each) => each !== targetPart);
  const reports = new Map<PairPart, PushReport>();
  const run = async ({ part }: PartPush, plan: PushPlan) => {
    const report = await runPush(plan);
    reports.set(part, withEarlier(reports.get(part), report));
  };
  for (const each of others) await run(each, { ...each.plan, toRemove: [], toWithdraw: [] });
  const target = targetPart === undefined ? pairs.target : await findOrCreate(targetPart.plan.task);
  if (target === undefined) throw new Error('pairs without targets were prepared');
  const linked = await linkParts(client, { target, reports, signal });
  if (targetPart !== undefined) await run(targetPart, targetPart.plan);
  const isComplete = [...reports.values()].every(({ result }) => result.failed.length === 0);
  for (const each of isComplete ? others : []) {
    const { toRemove, toWithdraw } = each.plan;
    if (toRemove.length + toWithdraw.length > 0) await run(each, { ...each.plan, files: [], toSend: [] });
  }
  return { target, linked, reports, isComplete };
}

/** Waits for READY, if the pushes wait for it and all files were sent. Without files, the dataset would stay DRAFT. */
export async function waitForPairs(
  pairs: PlannedPairs,
  { target, linked, reports, isComplete }: SentPairs,
  { client, signal }: PushTools,
): Promise<EndedPairs> {
  const [first] = pairs.parts;
  const isEmpty = (reports.get('target')?.dataset ?? target).status === 'DRAFT';
  const ended =
    first?.plan.task.waits && isComplete && !isEmpty
      ? await waitFor(first.plan.task, target)
      : await client.status(target.id, { signal });
  const parts: EndedPart[] = [];
  for (const each of pairs.parts) {
    const report = reports.get(each.part);
    if (report === undefined) continue;
    const dataset = each.part === 'target' ? ended : await client.status(report.dataset.id, { signal });
    parts.push({ ...each, report: await endedReport(report, dataset) });
  }
  return { target: ended, parts, linked };
}

/** The report of a second run, which only removes files, with what the first one has sent. */
function withEarlier(earlier: PushReport | undefined, report: PushReport): PushReport {
  if (earlier === undefined) return report;
  const conflicts = [...new Set([...earlier.conflicts, ...report.conflicts])].sort();
  return { ...report, result: earlier.result, conflicts, pending: earlier.pending };
}

/** Links the datasets of the folder; links in other places stay. @returns the names of those that were not linked before */
async function linkParts(
  client: TrainyardClient,
  { target, reports, signal }: { target: Dataset; reports: ReadonlyMap<PairPart, PushReport>; signal: AbortSignal },
): Promise<EndedPairs['linked']> {
  const { links } = await client.pairs.links(target.id, { signal });
  const ids: Partial<Record<LinkSlot, string>> = { ...linkIdsOf(links) };
  const linked: Partial<Record<LinkSlot, string>> = {};
  for (const [part, { dataset }] of reports) {
    if (part === 'target' || ids[part] === dataset.id) continue;
    ids[part] = dataset.id;
    linked[part] = dataset.name;
  }
  if (Object.keys(linked).length > 0) await client.pairs.setLinks(target.id, ids, { signal });
  return linked;
}
