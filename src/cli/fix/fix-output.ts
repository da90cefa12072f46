import { dirname } from 'node:path';
import { firstLines } from '../folder/report.js';
import { painterOf, print } from '../terminal/print.js';
import { counted, printable } from '../terminal/text.js';
import type { AppliedFix, FixReport } from './apply-fixes.js';
import type { Fix, FixPlan, NotFixed } from './plan-fixes.js';

/** Lists the files that will be fixed, and those that will not. */
export function printFixPlan({ fixes, notFixed }: FixPlan, { isDryRun }: { isDryRun: boolean }): void {
  if (fixes.length === 0) print('No file can be fixed without guessing.');
  else {
    print(`${isDryRun ? 'Would fix' : 'To fix'}: ${counted(fixes.length, 'file')}.`);
    printLines(
      fixes.map(({ message }) => `  ${printable(message)}.`),
      'file',
    );
  }
  printNotFixed(notFixed);
}

/** Lists the files that were fixed, where their originals are, and the files that could not be fixed. */
export function printFixed(fixed: readonly AppliedFix[], notFixed: readonly NotFixed[]): void {
  const paint = painterOf(process.stdout);
  const folders = new Set(fixed.flatMap(({ original }) => (original === undefined ? [] : [dirname(original)])));
  const kept = folders.size === 0 ? '' : ` The originals are in ${[...folders].map(printable).join(' and ')}.`;
  print(`Fixed ${counted(fixed.length, 'file')}.${kept}`);
  printLines(
    fixed.map(({ fix }) => paint('green', `✓ ${printable(fix.message)}.`)),
    'file',
  );
  printNotFixed(notFixed);
}

function printNotFixed(notFixed: readonly NotFixed[]): void {
  const paint = painterOf(process.stdout);
  const lines = notFixed.map(({ message }) => paint('yellow', `- Not fixed: ${printable(message)}`));
  printLines(lines, 'file that is not fixed', 'files that are not fixed');
}

function printLines(lines: readonly string[], one: string, many?: string): void {
  for (const line of firstLines(lines, one, many)) print(line);
}

/** The result of `--fix` for `--json`. */
export function fixDocument({ state, plan, fixed, notFixed }: FixReport): Record<string, unknown> {
  const described = ({ kind, file, to, message }: Fix) => ({
    filename: file.filename,
    action: kind,
    new_filename: to.normalize('NFC'),
    message,
  });
  const done = fixed.map(({ fix, original }) => ({ ...described(fix), original: original ?? null }));
  const changes = state === 'dry run' ? { would_mend: plan.fixes.map(described) } : { mended: done };
  return { dry_run: state === 'dry run', ...changes, not_mended: notFixed };
}
