import { type FixedFiles, fixBeforePush } from '../fix/fix-files.js';
import type { PushFlags, PushTools } from '../push/task.js';
import { withLockedFolders } from '../sync/lock-folders.js';
import { printJson } from '../terminal/print.js';
import { canAsk } from '../terminal/prompts.js';
import { readPairFolder } from './pair-folder.js';
import { preparePairs } from './pair-parts.js';
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
import { askAboutPairs, type PlannedPairs, planPairs, runPairs, waitForPairs } from './push-pairs.js';

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
  const skipsBad = flags.skipBad === true;
  const { folders, leftOut } = await readPairFolder(root, { follow: flags.follow === true });
  const fixed = new Map<string, FixedFiles>();
  for (const { folder, path } of folders) {
    fixed.set(folder, (await fixBeforePush([path], flags, { ...tools, follow: flags.follow === true })).fixed);
  }
  const planOnce = async () => {
    const planned = planPairs(await preparePairs(flags, { name, folders, tools }), { skipsBad });
    if (!isJson) printPairs(planned, leftOut);
    requireUnblocked(planned, flags);
    return planned;
  };
  if (flags.dryRun) {
    const planned = await planOnce();
    process.exitCode = pairsDryRunExitCode(planned);
    return isJson ? printJson(pairsDryRunDocument(planned, { leftOut, fixed })) : printPairsDryRun(planned);
  }
  const paths = folders.map(({ path }) => path);
  const { pairs, sent } = await withLockedFolders(paths, tools, async () => {
    const planned = await planOnce();
    const asked = isJson || !canAsk() ? planned : await askAboutPairs(planned);
    requireUnblocked(asked, flags);
    return { pairs: asked, sent: await runPairs(asked, tools) };
  });
  const ended = await waitForPairs(pairs, sent, tools);
  process.exitCode = pairsExitCode(ended);
  if (isJson) printJson(endedPairsDocument(pairs, ended, { leftOut, fixed }));
  else await printEndedPairs(ended);
}

function requireUnblocked(pairs: PlannedPairs, { allowUnpaired, skipBad }: PushFlags): void {
  const error = blockedPairs(pairs, { allowsUnpaired: allowUnpaired === true, skipsBad: skipBad === true });
  if (error !== undefined) throw error;
}
