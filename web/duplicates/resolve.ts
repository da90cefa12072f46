import type { TrainyardClient } from '../../src/client/client.js';
import { type Connect, newChangeId } from '../session/client.js';
import { differenceText, recordChange } from '../undo/recent-change.js';
import { shortListOf } from '../ui/format.js';
import { type CaptionMove, doneText, type Plan } from './review-groups.js';

const MAX_NAMES = 5;

interface ResolveOptions {
  readonly connect: Connect;
  readonly datasetId: string;
}

// One after another, also while the user visits another page: changes that overlap would split each other's revisions.
let last: Promise<unknown> = Promise.resolve();
let unfinished = 0;

addEventListener('beforeunload', (event) => {
  if (unfinished > 0) event.preventDefault();
});

function inTurn<T>(work: () => Promise<T>): Promise<T> {
  unfinished++;
  const own = last.then(work).finally(() => {
    unfinished--;
  });
  last = own.catch(() => {});
  return own;
}

/**
 * Moves captions, deletes files and remembers what was kept as different: one revision.
 *
 * @throws TrainyardError; Error if files were changed since the page has read them, which then stay
 */
export function applyPlans(plans: readonly Plan[], { connect, datasetId }: ResolveOptions): Promise<void> {
  return inTurn(async () => {
    const changeId = newChangeId();
    const client = connect({ how: 'bulk', id: changeId });
    // First, so that a failure leaves a caption twice, never nowhere.
    const moves = plans.flatMap(({ move }) => move ?? []);
    const moved = await moveCaptions(client, datasetId, moves);
    const stay = new Set(moves.filter((move) => !moved.includes(move)));
    const files = plans.flatMap((plan) => (plan.move !== undefined && stay.has(plan.move) ? [] : plan.files));
    const names = files.map(({ filename }) => filename);
    const ifMatch = Object.fromEntries(files.map(({ filename, etag }) => [filename, etag]));
    const answers = names.length === 0 ? [] : await client.bulk.removeFiles(datasetId, names, { ifMatch });
    const changed = answers.filter(({ current }) => current !== undefined).map(({ filename }) => filename);
    const deleted = names.length - changed.length;
    if (deleted + moved.length > 0) {
      recordChange(datasetId, { text: doneText(deleted, moved.length), made: { changeId } });
    }
    changed.push(...[...stay].map(({ to }) => to.caption?.filename ?? to.stem));
    if (changed.length > 0) {
      throw new Error(`Changed by someone else meanwhile, and not deleted: ${shortListOf(changed, MAX_NAMES)}.`);
    }
    for (const { kept } of plans) if (kept.length > 1) await decide(client, datasetId, kept);
  });
}

/** @returns those that were moved: the others have another caption now */
async function moveCaptions(client: TrainyardClient, datasetId: string, moves: readonly CaptionMove[]) {
  if (moves.length === 0) return [];
  const texts = await client.bulk.captions(
    datasetId,
    moves.map(({ from }) => from.filename),
  );
  const captions = moves.map(({ from, to }, index) => {
    const text = texts[index]?.text;
    if (text == null) throw new Error(`${from.filename} is too long to be moved.`);
    return { filename: to.caption?.filename ?? `${to.stem}.txt`, text, ifMatch: to.caption?.etag ?? null };
  });
  const saved = await client.bulk.saveCaptions(datasetId, captions);
  return moves.filter((_, index) => saved[index]?.file !== undefined);
}

/** Remembers that files differ from one another, so that they are not a group again. @throws TrainyardError */
export function keepAsDifferent(candidates: Plan['kept'], { connect, datasetId }: ResolveOptions): Promise<void> {
  return inTurn(async () => {
    const filenames = await decide(connect(), datasetId, candidates);
    recordChange(datasetId, { text: differenceText(filenames, true), made: { different: filenames } });
  });
}

async function decide(client: TrainyardClient, datasetId: string, candidates: Plan['kept']): Promise<string[]> {
  const filenames = candidates.map(({ file }) => file.filename);
  await client.duplicates.decide(datasetId, { filenames, different: true });
  return filenames;
}
