import { findingsOf } from '../../harness/checking.js';
import { faultsOf } from '../../faults/remains.js';
import { failureOf, type Run } from '../check.js';
import { runSteps } from './history-run.js';
import { Installation } from './installation.js';
import { sequenceOfSteps, type Step } from './steps.js';

/** Changes datasets with three clients in random order, and compares their history with a model. */
export const fuzzHistories = (run: Run): Promise<string | undefined> =>
  withInstallation(async (installation) => {
    const tryOne = (steps: readonly Step[]) => runSteps(installation, steps);
    return (
      (await failureOf(sequenceOfSteps, run, { names: ['histories', 'history'] }, tryOne)) ?? faultOf(installation)
    );
  });

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
