import { dirname } from 'node:path';
import { firstLines } from '../folder/report.js';
import { painterOf, print } from '../terminal/print.js';
import { counted, printable } from '../terminal/text.js';
import type { FixReport, Mended } from './apply-fixes.js';
import type { Fix, FixPlan, NotMended } from './plan-fixes.js';

/** Lists the files that will be mended, and those that will not. */
export function printFixPlan({ fixes, notMended }: FixPlan, { isDryRun }: { isDryRun: boolean }): void {
  if (fixes.length === 0) print('No file can be mended without guessing.');
  else {
    print(`${isDryRun ? 'Would mend' : 'To mend'}: ${counted(fixes.length, 'file')}.`);
    printLines(
      fixes.map(({ message }) => `  ${printable(message)}.`),
      'file',
    );
  }
  printNotMended(notMended);
}

/** Lists the files that were mended, where their originals are, and the files that could not be mended. */
export function printMended(mended: readonly Mended[], notMended: readonly NotMended[]): void {
  const paint = painterOf(process.stdout);
  const folders = new Set(mended.flatMap(({ original }) => (original === undefined ? [] : [dirname(original)])));
  const kept = folders.size === 0 ? '' : ` The originals are in ${[...folders].map(printable).join(' and ')}.`;
  print(`Mended ${counted(mended.length, 'file')}.${kept}`);
  printLines(
    mended.map(({ fix }) => paint('green', `✓ ${printable(fix.message)}.`)),
    'file',
  );
  printNotMended(notMended);
}

function printNotMended(notMended: readonly NotMended[]): void {
  const paint = painterOf(process.stdout);
  const lines = notMended.map(({ message }) => paint('yellow', `- Not mended: ${printable(message)}`));
  printLines(lines, 'file that is not mended', 'files that are not mended');
}

function printLines(lines: readonly string[], one: string, many?: string): void {
  for (const line of firstLines(lines, one, many)) print(line);
}

/** The result of `--fix` for `--json`. */
export function fixDocument({ state, plan, mended, notMended }: FixReport): Record<string, unknown> {
  const described = ({ kind, file, to, message }: Fix) => ({
    filename: file.filename,
    action: kind,
    new_filename: to.normalize('NFC'),
    message,
  });
  const done = mended.map(({ fix, original }) => ({ ...described(fix), original: original ?? null }));
  const changes = state === 'dry run' ? { would_mend: plan.fixes.map(described) } : { mended: done };
  return { dry_run: state === 'dry run', ...changes, not_mended: notMended };
}
