import fc from 'fast-check';
import { findingsOf } from '../../harness/checking.js';
import { faultsOf } from '../../faults/remains.js';
import type { SequenceRun } from '../fuzz-sequences.js';
import { runSteps } from './history-run.js';
import { Installation } from './installation.js';
import { sequenceOfSteps, type Step } from './steps.js';

/**
 * Changes datasets with three clients in random order, and compares their history with a model.
 *
 * @param options.isShrunk looks for the shortest sequence that fails, which takes minutes
 * @returns the failing sequence; `undefined` if there was none
 */
export async function fuzzHistories({
  seed,
  sequences,
  path,
  isShrunk,
}: SequenceRun & { isShrunk: boolean }): Promise<string | undefined> {
  return withInstallation(async (installation) => {
    const property = fc.asyncProperty(sequenceOfSteps, (steps) => runSteps(installation, steps));
    const options = { seed, numRuns: sequences, endOnFailure: !isShrunk };
    const found = await fc.check(property, { ...options, ...(path !== undefined && { path }) });
    if (!found.failed) return faultOf(installation);
    const [steps] = found.counterexample ?? [];
    return [
      found.errorInstance instanceof Error ? found.errorInstance.message : String(found.errorInstance),
      `  npm run fuzz -- --histories ${sequences} --seed ${found.seed} --path ${found.counterexamplePath}`,
      `  npm run fuzz -- --history '${JSON.stringify(steps)}'`,
    ].join('\n');
  });
}

/** Runs the steps of one sequence, as `fuzzHistories` prints it. @throws Error where the server differs from the model */
export async function runHistory(text: string): Promise<void> {
  const fault = await withInstallation(async (installation) => {
    await runSteps(installation, JSON.parse(text) as Step[]);
    return faultOf(installation);
  });
  if (fault !== undefined) throw new Error(fault);
}

/** What the log of the server and `verify --store` find after all sequences. */
async function faultOf({ server }: Installation): Promise<string | undefined> {
  const faults = [...faultsOf(server), ...(await findingsOf(server)).map((finding) => JSON.stringify(finding))];
  return faults.length === 0 ? undefined : faults.join('\n');
}

async function withInstallation<T>(use: (installation: Installation) => Promise<T>): Promise<T> {
  const installation = await Installation.start();
  try {
    return await use(installation);
  } finally {
    await installation.discard();
  }
}
