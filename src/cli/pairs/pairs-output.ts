import { slotText } from '../../dataset/pairs/roles.js';
import type { FixedFiles } from '../fix/fix-files.js';
import { firstLines, totalsOf } from '../folder/report.js';
import {
  dryRunDocument,
  dryRunExitCode,
  planLines,
  printDryRun,
  printEnded,
  pushDocument,
  pushExitCode,
} from '../push/output.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { withOwnCommand } from '../terminal/own-command.js';
import { painterOf, print } from '../terminal/print.js';
import { counted, printable } from '../terminal/text.js';
import type { EndedPairs, PlannedPairs } from './push-pairs.js';

/** Prints what is in each folder and wrong with it, and then what is wrong with the pairs. */
export function printPairs({ parts, compared }: PlannedPairs, leftOut: readonly string[]): void {
  const paint = painterOf(process.stdout);
  for (const { folder, plan } of parts) {
    print(`${paint('bold', `${printable(folder)}/`)}  ${totalsOf(plan.report.inspected.map(({ file }) => file))}`);
    for (const line of planLines(plan, paint)) print(line);
  }
  const skipped = leftOut.map((sentence) => paint('dim', `- ${sentence}`));
  for (const line of firstLines(skipped, 'entry left out', 'entries left out')) print(line);
  for (const { message } of compared.errors) print(paint('red', `✗ ${printable(message)}`));
  for (const { message } of compared.warnings) print(paint('yellow', `! ${printable(message)}`));
  if (compared.errors.length === 0) {
    const places = parts.flatMap(({ part }) => (part === 'target' ? [] : [slotText(part)]));
    print(`${counted(compared.targets, 'target')}, each with ${places.join(' and ')}.`);
  }
}

/** The error that says why nothing was sent; `undefined` if nothing prevents the push. */
export function blockedPairs(
  { parts, compared }: PlannedPairs,
  { allowsUnpaired, skipsBad }: { allowsUnpaired: boolean; skipsBad: boolean },
): CommandError | undefined {
  const ofFiles = parts.flatMap(({ folder, plan }) => plan.blockers.map((problem) => ({ folder, ...problem })));
  const ofPairs = allowsUnpaired ? [] : compared.errors.map(({ severity: _, ...problem }) => problem);
  const problems = [...ofFiles, ...ofPairs];
  if (problems.length === 0) return undefined;
  const canSkip = !skipsBad && (ofPairs.length > 0 || ofFiles.some(({ filename }) => filename !== undefined));
  const lines = [
    `nothing was sent: ${counted(problems.length, 'error')} would keep the datasets from being READY.`,
    ...(canSkip ? ['To leave out files with errors, and targets without an intact pair, add --skip-bad.'] : []),
    ...(ofPairs.length > 0
      ? ['To send targets without their pairs, and add what is missing later, add --allow-unpaired.']
      : []),
    ...(ofFiles.some(({ code }) => code === 'MISSING_CAPTION')
      ? ['To generate captions of targets, add --trigger WORD or --caption-all TEXT.']
      : []),
  ];
  return new CommandError(EXIT.dataError, lines.join('\n'), { details: { problems } });
}

/** Prints what a push of pairs would do. */
export async function printPairsDryRun(pairs: PlannedPairs): Promise<void> {
  for (const { plan } of pairs.parts) await printDryRun(plan);
  const linked = newLinksOf(pairs);
  if (Object.keys(linked).length > 0) print(`Would link ${linkedText(pairs.name, linked)}.`);
}

/** What a push of pairs would do, for `--json`. */
export function pairsDryRunDocument(pairs: PlannedPairs, rest: DocumentParts): Record<string, unknown> {
  const parts = pairs.parts.map(({ part, folder, plan }) => {
    const { dry_run: _, ...document } = dryRunDocument(plan);
    return [part, { folder, ...document, ...rest.fixed.get(folder) }];
  });
  return {
    dry_run: true,
    name: pairs.name,
    exists: pairs.target !== undefined,
    link: newLinksOf(pairs),
    parts: Object.fromEntries(parts),
    pairs: comparedDocument(pairs),
    left_out: rest.leftOut,
  };
}

/** The exit code of a dry run: 73 if there are conflicts. */
export function pairsDryRunExitCode({ parts }: PlannedPairs): number {
  return Math.max(0, ...parts.map(({ plan }) => dryRunExitCode(plan)));
}

/** Prints what was done with each part, the training dataset last. */
export async function printEndedPairs(ended: EndedPairs): Promise<void> {
  const isTarget = ({ part }: { part: string }) => Number(part === 'target');
  const ordered = ended.parts.toSorted((a, b) => isTarget(a) - isTarget(b));
  for (const { part, report } of ordered) {
    if (part === 'target') printLinked(ended);
    await printEnded(report);
  }
  if (!ordered.some(isTarget)) printLinked(ended);
}

interface DocumentParts {
  readonly leftOut: readonly string[];
  /** What `--fix` did, by folder. */
  readonly fixed: ReadonlyMap<string, FixedFiles>;
}

/** The result of a push of pairs, for `--json`. */
export function endedPairsDocument(
  pairs: PlannedPairs,
  { target, parts, linked }: EndedPairs,
  { leftOut, fixed }: DocumentParts,
): Record<string, unknown> {
  const { files: _, ...dataset } = target;
  const documents = parts.map(({ part, folder, report }) => [
    part,
    { folder, ...pushDocument(report), ...fixed.get(folder) },
  ]);
  return { dataset, linked, parts: Object.fromEntries(documents), pairs: comparedDocument(pairs), left_out: leftOut };
}

/** 73 after conflicts; otherwise 1 if a dataset is FAILED; otherwise the code of the first file that could not be sent. */
export function pairsExitCode({ parts, target }: EndedPairs): number {
  const codes = parts.map(({ report }) => pushExitCode(report));
  if (codes.includes(EXIT.cannotCreate)) return EXIT.cannotCreate;
  if (target.status === 'FAILED') return EXIT.notFit;
  return codes.find((code) => code !== 0) ?? 0;
}

function comparedDocument({ compared }: PlannedPairs) {
  const { targets, errors, warnings, proofs } = compared;
  const documentOf = (problems: typeof errors) => problems.map(({ severity: _, ...problem }) => problem);
  return { targets, errors: documentOf(errors), warnings: documentOf(warnings), stems: Object.fromEntries(proofs) };
}

type Linked = EndedPairs['linked'];

/** The names of datasets that a push would link. */
function newLinksOf({ parts, target }: PlannedPairs): Linked {
  const fresh = parts.flatMap(({ part, plan: { task } }) =>
    part === 'target' || target?.links?.[part] !== undefined ? [] : [[part, task.name] as const],
  );
  return Object.fromEntries(fresh);
}

function printLinked({ target, linked }: EndedPairs): void {
  if (Object.keys(linked).length > 0) print(withOwnCommand(`Linked ${linkedText(target.name, linked)}.`));
}

/** `"railway" to "railway-control" (control 1) and "railway-mask" (mask)` */
function linkedText(name: string, linked: Linked): string {
  const others = Object.entries(linked).map(
    ([slot, other]) => `"${printable(other)}" (${slotText(slot as keyof Linked)})`,
  );
  return `"${printable(name)}" to ${others.join(' and ')}`;
}
