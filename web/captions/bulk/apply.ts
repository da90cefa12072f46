import type { TrainyardClient } from '../../../src/client/client.js';
import { signOutIfUnauthorized } from '../../session/client.js';
import { countOf, messageOf } from '../../ui/format.js';
import type { CaptionChange } from './plan.js';

export interface BulkResult {
  readonly changed: readonly CaptionChange[];
  /** Not made, because their captions have changed since the plan was made. */
  readonly skipped: readonly CaptionChange[];
  readonly failed: readonly { readonly change: CaptionChange; readonly reason: string }[];
  /** Not made, because the user cancelled. */
  readonly remaining: readonly CaptionChange[];
}

/** `3 captions changed, 1 caption skipped.` */
export function summaryOf({ changed, skipped, failed, remaining }: BulkResult): string {
  const parts = [
    `${countOf(changed.length, 'caption')} changed`,
    remaining.length > 0 && `${countOf(remaining.length, 'caption')} not changed because you cancelled`,
    skipped.length > 0 && `${countOf(skipped.length, 'caption')} skipped`,
    failed.length > 0 && `${countOf(failed.length, 'caption')} failed`,
  ];
  return `${parts.filter(Boolean).join(', ')}.`;
}

/** Progress is reported, and a cancel takes effect, after each request. */
const CAPTIONS_PER_REQUEST = 100;

/**
 * Applies changes, each only if the caption is still the version that it was planned for. A change that was made before counts
 * as changed, so the same changes can be applied again after a failure.
 */
export async function applyChanges(
  client: TrainyardClient,
  datasetId: string,
  changes: readonly CaptionChange[],
  { isCancelled, onProgress }: { isCancelled: () => boolean; onProgress: (done: number) => void },
): Promise<BulkResult> {
  const [changed, skipped]: [CaptionChange[], CaptionChange[]] = [[], []];
  const failed: BulkResult['failed'][number][] = [];
  let done = 0;
  while (done < changes.length && !isCancelled()) {
    const slice = changes.slice(done, done + CAPTIONS_PER_REQUEST);
    try {
      const texts = slice.map(({ filename, after, ifMatch }) => ({ filename, text: after, ifMatch }));
      const answers = await client.bulk.saveCaptions(datasetId, texts);
      const others = answers.flatMap(({ filename, current }) => (current ? filename : []));
      // What was saved must not count as failed because one of the others can't be read.
      const read = await client.bulk.captions(datasetId, others).catch(() => []);
      const now = new Map(read.map(({ filename, text }) => [filename, text]));
      for (const [index, change] of slice.entries()) {
        const { saved, problem } = answers[index]!;
        if (problem !== undefined) failed.push({ change, reason: problem.message });
        else (saved || now.get(change.filename) === change.after ? changed : skipped).push(change);
      }
      done += slice.length;
      onProgress(done);
    } catch (error) {
      // The others would fail as well.
      failed.push(...changes.slice(done).map((change) => ({ change, reason: messageOf(error) })));
      signOutIfUnauthorized(error);
      done = changes.length;
    }
  }
  return { changed, skipped, failed, remaining: changes.slice(done) };
}
