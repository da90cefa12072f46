import type { DatasetWithFiles, Link, LinkSlot, Problem, TrainyardClient } from '../../client/client.js';
import { undefinedOn } from '../../dataset/errors.js';
import { linksIn, slotText } from '../../dataset/pairs/roles.js';
import type { MountSource } from '../../service/mount/mount-source.js';
import { withAnySignal } from '../../abort-signals.js';
import { firstLines, problemsBeside } from '../folder/report.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import type { Call } from '../remote.js';
import { counted, printable } from '../terminal/text.js';

export interface WaitLimit {
  readonly text: string;
  /** Fires when the time is over. */
  readonly signal: AbortSignal;
}

/** The datasets of a service or of a data folder. */
export interface MountableDatasets {
  readonly find: (nameOrId: string) => Promise<{
    readonly source: MountSource;
    /** Missing in a data folder. */
    readonly waitForReady?: (options: ReadyWait) => Promise<void>;
  }>;
  readonly pin: (datasetId: string, revision: number, note: string) => Promise<unknown>;
  readonly close: () => Promise<unknown>;
}

export interface ReadyWait extends Pick<Call, 'display' | 'signal'> {
  readonly limit?: WaitLimit | undefined;
}

/**
 * Waits until a dataset and its linked datasets are READY. FAILED ends the wait, since only a person can fix it.
 *
 * @throws CommandError with 65 if it is FAILED, 75 when the time is over
 */
export async function waitForReady(
  client: TrainyardClient,
  { id, name }: { readonly id: string; readonly name: string },
  { signal, limit, display }: ReadyWait,
): Promise<void> {
  let reason = '';
  const onStatus = (dataset: DatasetWithFiles) => {
    if (dataset.status === 'READY' || dataset.status === 'FAILED') return;
    const isFirst = reason === '';
    reason = reasonToWait(dataset);
    const line = `waiting for "${printable(name)}", which is ${dataset.status}: ${reason}`;
    if (isFirst) display.note(line);
    display.update(() => [line]);
  };
  const dataset = await withAnySignal([signal, limit?.signal], (either) =>
    client.waitUntilReady(id, { signal: either, onStatus }),
  ).catch((error) => {
    if (signal.aborted || !limit?.signal.aborted) throw error;
    const message = `"${name}" was not READY within ${limit.text}: ${reason || 'the service did not answer'}. Try again, or wait longer with --timeout.`;
    throw new CommandError(EXIT.temporaryFailure, message);
  });
  display.clear();
  if (dataset.status === 'FAILED') throw failedError(dataset, await problemsOfLinked(client, dataset, signal));
}

function reasonToWait({ status, counts, awaited = [], links }: DatasetWithFiles): string {
  if (status === 'DRAFT') return 'it has no files yet';
  const { pending = 0, checking = 0, uncaptioned = 0 } = counts ?? {};
  const names = awaited.slice(0, 2).map(({ filename }) => printable(filename));
  const examples = names.length === 0 ? '' : ` (${names.join(', ')}${pending > names.length ? ', …' : ''})`;
  const reasons = [
    ...(pending > 0 ? [`${counted(pending, 'upload is', 'uploads are')} pending${examples}`] : []),
    ...(checking > 0 ? [`${counted(checking, 'file is', 'files are')} being checked`] : []),
    ...(uncaptioned > 0 ? [`${counted(uncaptioned, 'file has', 'files have')} no caption yet`] : []),
    ...linksIn(links).flatMap(linkReason),
  ];
  return reasons.join(', ') || 'its upload is not complete';
}

function linkReason({ slot, name, status, missing, ambiguous }: Link & { slot: LinkSlot }): string[] {
  const faults = [[missing, 'has nothing yet for'] as const, [ambiguous, 'has several images named'] as const];
  const reasons = [
    ...(status === 'READY' ? [] : [`is ${status}`]),
    ...faults.flatMap(([{ count, stems }, what]) => {
      const names = stems.slice(0, 2).map(printable).join(', ');
      return count === 0 ? [] : [`${what} ${count > 2 ? `${counted(count, 'image')} (${names}, …)` : names}`];
    }),
  ];
  return reasons.length === 0 ? [] : [`its ${slotText(slot)} "${printable(name)}" ${reasons.join(' and ')}`];
}

/** The target itself says only that its linked datasets are FAILED. */
async function problemsOfLinked(client: TrainyardClient, { links }: DatasetWithFiles, signal: AbortSignal) {
  const failed = linksIn(links).filter(({ status }) => status === 'FAILED');
  const found = failed.map(async ({ dataset_id: id, name }) => {
    // The token may not be bound to it.
    const linked = await client.status(id, { signal }).catch(undefinedOn('dataset_not_found'));
    return (linked?.error?.problems ?? []).map((each) => ({ ...each, message: `"${name}": ${each.message}` }));
  });
  return (await Promise.all(found)).flat();
}

function failedError({ name, error }: DatasetWithFiles, ofLinked: readonly Problem[]): CommandError {
  const { message: sentence = '', problems: own = [] } = error ?? {};
  const problems = [...own, ...ofLinked];
  const lines = [
    `"${printable(name)}" is FAILED, and only a READY dataset can be mounted. ${printable(sentence)}`.trimEnd(),
    ...firstLines(
      problemsBeside(sentence, problems).map(({ message }) => `✗ ${printable(message)}`),
      'problem',
    ),
  ];
  return new CommandError(EXIT.dataError, lines.join('\n'), { details: { problems } });
}
