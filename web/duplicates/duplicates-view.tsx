import { useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useMemo, useState } from 'react';
import type { DatasetWithFiles, Duplicates, TrainyardClient } from '../../src/client/client.js';
import { KEY_TABLE, useKeys, withKey } from '../keys.js';
import { usePreloaded } from '../pairs/viewer/full.js';
import { KeyHint, NothingToReview, Position, useReviewed } from '../review.js';
import { useCanWrite } from '../session/account.js';
import { type Connect, newChangeId, useConnect } from '../session/client.js';
import { FormDialog, useRequesting } from '../session/dialog-form.js';
import { Button } from '../ui/button.js';
import { countOf, numberOf, shortListOf, sizeOf } from '../ui/format.js';
import { GroupCards } from './group-cards.js';
import { PendingNote } from './duplicates-panel.js';
import {
  type CaptionMove,
  type Decision,
  doneText,
  exactCopiesIn,
  type GroupMember,
  type Plan,
  planRemoval,
  type ReviewGroup,
  suggestedRemovals,
} from './review-groups.js';
import { duplicatesKey, NOT_COMPARED, useDuplicates } from './use-duplicates.js';
import { etagsIn } from '../upload/queue/queued-file.js';
import { LongList } from '../ui/long-list.js';
import { differenceText, recordChange } from '../undo/recent-change.js';
import { warnBeforeLeaving } from '../ui/store.js';

/** The review of duplicates: one group a screen. The address names the group by its suggested keeper. */
export function DuplicatesView({ dataset }: { dataset: DatasetWithFiles }) {
  const { groups: found, pending, error, retry } = useDuplicates(dataset);
  const resolving = useResolving(dataset.id);
  const groups = found?.filter(({ key }) => !resolving.keys.has(key));
  const filenamesOf = ({ candidates }: ReviewGroup) => namesOf(candidates);
  const { index, entry: group, show, move } = useReviewed(groups, 'group', filenamesOf);
  useKeys({ duplicateGroup: group && (({ key }) => void move(key === 'ArrowUp' ? -1 : 1)) });
  usePreloaded(dataset.id, groups?.[index + 1]?.candidates.map(({ file }) => file) ?? []);
  const goOn = () => show(groups?.[index + 1] ?? groups?.[index - 1]);
  return (
    <div className="-mx-4 -mt-4 flex grow flex-col">
      {resolving.failure !== '' && (
        <p role="alert" className="flex flex-wrap items-center gap-3 bg-bad-soft px-4 py-2 text-bad">
          {resolving.failure} <Button onClick={resolving.dismiss}>Dismiss</Button>
        </p>
      )}
      {group === undefined || groups === undefined ? (
        <NothingToReview
          {...{ datasetId: dataset.id, error, failure: NOT_COMPARED }}
          isRead={groups !== undefined}
          onRetry={retry}
          words={groups === undefined ? 'Comparing the pictures …' : 'No duplicates are left to decide.'}
        >
          <PendingNote pending={pending} />
        </NothingToReview>
      ) : (
        <Review
          key={group.key}
          {...{ dataset, group, pending }}
          position={<Position what="Group" {...{ index }} count={groups.length} keys={GROUP_KEYS} onMove={move} />}
          copies={<ExactCopiesButton groups={groups} onConfirm={resolving.apply} />}
          onApply={(plan) => {
            goOn();
            if (plan.files.length === 0) void resolving.keepAll(plan.group, plan.kept);
            else void resolving.apply([plan], plan.group);
          }}
          onDifferent={() => {
            goOn();
            void resolving.keepAll(group, group.candidates);
          }}
        />
      )}
    </div>
  );
}

const GROUP_KEYS = KEY_TABLE.duplicateGroup.keys;

/** Groups that are being resolved are hidden; one that could not be resolved is there again. */
function useResolving(datasetId: string) {
  const connect = useConnect();
  const queries = useQueryClient();
  const [keys, setKeys] = useState<ReadonlySet<string>>(new Set());
  const { failure, run } = useRequesting();
  const queryKey = duplicatesKey(datasetId);
  const resolve = async (group: ReviewGroup | undefined, work: Promise<void>) => {
    const key = group?.key;
    const keeper = group?.candidates[0]?.file.filename;
    if (key !== undefined) setKeys((known) => new Set(known).add(key));
    await run(async () => {
      await work;
      queries.setQueryData<Duplicates>(
        queryKey,
        (known) => known && { ...known, groups: known.groups.filter((each) => each.keeper !== keeper) },
      );
    });
    setKeys((known) => new Set([...known].filter((each) => each !== key)));
    await queries.invalidateQueries({ queryKey });
  };
  const options = { connect, datasetId };
  return {
    keys,
    failure,
    dismiss: () => void run(async () => {}),
    apply: (plans: readonly Plan[], group?: ReviewGroup) => resolve(group, applyPlans(plans, options)),
    keepAll: (group: ReviewGroup, kept: Plan['kept']) => resolve(group, keepAsDifferent(kept, options)),
  };
}

interface ReviewProps {
  readonly dataset: DatasetWithFiles;
  readonly group: ReviewGroup;
  readonly pending: number;
  readonly position: ReactNode;
  readonly copies: ReactNode;
  readonly onApply: (plan: Plan) => void;
  readonly onDifferent: () => void;
}

/** One group, and what is decided about it. */
function Review({ dataset, group, pending, position, copies, onApply, onDifferent }: ReviewProps) {
  const canWrite = useCanWrite();
  const [decision, setDecision] = useState<Decision>(() => ({ removed: suggestedRemovals(group) }));
  const plan = planRemoval(group, decision);
  const { candidates } = group;
  const names = namesOf(candidates);
  const areEqual = new Set(candidates.map(({ file }) => file.sha256)).size === 1;
  const toggle = (name: string) =>
    setDecision(({ removed, ...rest }) => ({
      ...rest,
      removed: new Set(removed.has(name) ? [...removed].filter((each) => each !== name) : [...removed, name]),
    }));
  // Equal files that are all kept can't be told apart: they stay a group.
  const canApply = canWrite && plan !== undefined && !(areEqual && plan.files.length === 0);
  const canDiffer = canWrite && !areEqual;
  const whyNot = areEqual ? 'Files with the same bytes are never different.' : undefined;
  useKeys({
    duplicateOnly: ({ key }) => {
      const kept = names[Number(key) - 1];
      if (!canWrite || kept === undefined) return false;
      setDecision({ ...decision, removed: new Set(names.filter((name) => name !== kept)) });
    },
    duplicateApply: ({ target }) => (isControl(target) || !canApply ? false : onApply(plan)),
    duplicateDifferent: () => (canDiffer ? onDifferent() : false),
  });
  return (
    <>
      <div className="sticky top-0 z-20 flex flex-col gap-2 border-b border-line bg-page px-4 py-2 sm:top-12">
        <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
          {position}
          <PendingNote pending={pending} />
          <span className="grow" />
          {canWrite && copies}
        </div>
        {canWrite && (
          <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
            <Button
              kind="primary"
              disabled={!canApply}
              title={withKey('Apply, and go on', 'duplicateApply')}
              onClick={() => plan !== undefined && onApply(plan)}
            >
              {applyText(plan)} <KeyHint name="duplicateApply" />
            </Button>
            <Button
              disabled={!canDiffer}
              title={whyNot ?? withKey('Keep all, and do not ask again', 'duplicateDifferent')}
              onClick={onDifferent}
            >
              These are different <KeyHint name="duplicateDifferent" />
            </Button>
            <span role="status" className="min-w-0 text-sm wrap-anywhere text-muted">
              {plan === undefined ? 'Keep at least one picture.' : captionText(plan)}
            </span>
          </div>
        )}
      </div>
      <GroupCards
        {...{ group, decision, plan }}
        datasetId={dataset.id}
        onToggle={toggle}
        onCaption={(captionOf) => setDecision({ ...decision, captionOf })}
      />
    </>
  );
}

/** Whether Enter presses the focused element. */
function isControl(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('button, a, summary') !== null;
}

function applyText(plan: Plan | undefined): string {
  if (plan === undefined) return 'Keep none';
  const { kept, group } = plan;
  const removed = group.candidates.length - kept.length;
  return removed === 0 ? 'Keep all' : `Remove ${numberOf(removed)}, keep ${numberOf(kept.length)}`;
}

/** What becomes of the captions. */
function captionText({ captions, captionOf, structuredDiffer, moves, kept, files, group }: Plan): string {
  const keeper = kept[0]?.file.filename;
  const words = captions.length > 1 && captionOf !== kept[0]?.pair.stem ? `gets that of ${captionOf}` : 'keeps its own';
  if (captions.length > 1) return `The captions differ: ${keeper} ${words}.`;
  if (structuredDiffer) return `The structured captions differ: ${keeper} keeps its own.`;
  if (moves.length > 0) return moves.map(({ from }) => `${from.filename} moves to ${keeper}.`).join(' ');
  if (files.length > 0) return '';
  const isMirrored = group.candidates.some(({ kind }) => kind === 'mirrored');
  return isMirrored ? 'A mirrored picture may be intended.' : '';
}

interface ExactCopiesProps {
  readonly groups: readonly ReviewGroup[];
  readonly onConfirm: (plans: readonly Plan[]) => void;
}

/** Keeps one of each group of equal files at once, after it has named what goes. */
function ExactCopiesButton({ groups, onConfirm }: ExactCopiesProps) {
  const { plans, undecided } = useMemo(() => exactCopiesIn(groups), [groups]);
  const [isAsking, setAsking] = useState(false);
  if (plans.length === 0) return null;
  const files = plans.flatMap((plan) => plan.files);
  const bytes = files.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
  const words = `Keep one of each of ${countOf(plans.length, 'group')} of exact copies`;
  return (
    <>
      <Button onClick={() => setAsking(true)}>{words}</Button>
      {isAsking && (
        <FormDialog
          title={`Delete ${countOf(files.length, 'file')}?`}
          label={`Delete ${countOf(files.length, 'file')}`}
          kind="danger"
          width="max-w-2xl"
          work={async () => {
            setAsking(false);
            onConfirm(plans);
          }}
          onClose={() => setAsking(false)}
        >
          <p>
            {words}, {sizeOf(bytes)} go. The history keeps them, so that you can undo this.
          </p>
          {undecided > 0 && (
            <p className="rounded-lg bg-warn-soft p-2 text-warn">
              {countOf(undecided, 'group')} with different captions {undecided === 1 ? 'is' : 'are'} left for you to
              decide.
            </p>
          )}
          <div className="rounded-lg border border-line text-sm">
            <LongList label="What goes" items={plans} height="max-h-72">
              {({ kept, files: going, moves }) => (
                <p className="px-3 py-2 wrap-anywhere">
                  {going.map(({ filename }) => filename).join(', ')}
                  <span className="text-muted">
                    {' '}
                    · {kept[0]?.file.filename} stays{moves.length > 0 && ' and gets the caption'}
                  </span>
                </p>
              )}
            </LongList>
          </div>
        </FormDialog>
      )}
    </>
  );
}

const MAX_NAMES = 5;

interface ResolveOptions {
  readonly connect: Connect;
  readonly datasetId: string;
}

// One after another, also while the user visits another page: changes that overlap would split each other's revisions.
let last: Promise<unknown> = Promise.resolve();
let unfinished = 0;

warnBeforeLeaving(() => unfinished > 0);

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
function applyPlans(plans: readonly Plan[], { connect, datasetId }: ResolveOptions): Promise<void> {
  return inTurn(async () => {
    const changeId = newChangeId();
    const client = connect({ how: 'bulk', id: changeId });
    // A plan that waited may have lost what it keeps.
    const etags = etagsIn(await client.status(datasetId));
    const isThere = ({ file }: GroupMember) => etags.get(file.filename) === file.etag;
    const possible = plans.filter(({ kept }) => kept.every(isThere));
    // First, so that a failure leaves a caption twice, never nowhere.
    const moves = possible.flatMap((plan) => plan.moves);
    const moved = await moveCaptions(client, datasetId, moves);
    const stay = new Set(moves.filter((move) => !moved.includes(move)));
    const files = possible.flatMap((plan) => (plan.moves.some((move) => stay.has(move)) ? [] : plan.files));
    const names = files.map(({ filename }) => filename);
    const ifMatch = Object.fromEntries(files.map(({ filename, etag }) => [filename, etag]));
    const answers = names.length === 0 ? [] : await client.bulk.removeFiles(datasetId, names, { ifMatch });
    const deleted = answers.filter((answer) => answer.deleted).length;
    const different = possible.filter(({ kept }) => kept.length > 1);
    if (deleted + moved.length > 0) {
      const text = doneText(deleted, moved.length);
      recordChange(datasetId, { text, made: { changeId }, different: different.flatMap(({ kept }) => namesOf(kept)) });
    }
    for (const { kept } of different) await decide(client, datasetId, kept);
    const changed = [
      ...answers.flatMap(({ filename, current }) => (current ? filename : [])),
      ...[...stay].map(({ filename }) => filename),
      ...plans.filter((plan) => !possible.includes(plan)).flatMap((plan) => plan.files.map(({ filename }) => filename)),
    ];
    if (changed.length > 0) {
      throw new Error(`Changed meanwhile, and not deleted: ${shortListOf(changed, MAX_NAMES)}.`);
    }
  });
}

/** @returns those that were moved: the others have another caption now */
async function moveCaptions(client: TrainyardClient, datasetId: string, moves: readonly CaptionMove[]) {
  if (moves.length === 0) return [];
  const texts = await client.bulk.captions(
    datasetId,
    moves.map(({ from }) => from.filename),
  );
  const captions = moves.map(({ from, filename, replaced }, index) => {
    const text = texts[index]?.text;
    if (text == null) throw new Error(`${from.filename} is too long to be moved.`);
    return { filename, text, ifMatch: replaced?.etag ?? null };
  });
  const saved = await client.bulk.saveCaptions(datasetId, captions);
  return moves.filter((_, index) => saved[index]?.file !== undefined);
}

/** Remembers that files differ from one another, so that they are not a group again. @throws TrainyardError */
function keepAsDifferent(candidates: Plan['kept'], { connect, datasetId }: ResolveOptions): Promise<void> {
  return inTurn(async () => {
    await decide(connect(), datasetId, candidates);
    const different = namesOf(candidates);
    recordChange(datasetId, { text: differenceText(different, true), different });
  });
}

async function decide(client: TrainyardClient, datasetId: string, candidates: Plan['kept']): Promise<void> {
  await client.duplicates.decide(datasetId, { filenames: namesOf(candidates), different: true });
}

const namesOf = (candidates: readonly GroupMember[]) => candidates.map(({ file }) => file.filename);
