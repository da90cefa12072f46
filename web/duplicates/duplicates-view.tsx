import { useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { Link, useSearchParams } from 'wouter';
import type { DatasetWithFiles, Duplicates } from '../../src/client/client.js';
import { KEY_TABLE, keyText, useKeys, withKey } from '../keys.js';
import { usePreloaded } from '../pairs/viewer/full.js';
import { useCanWrite } from '../session/account.js';
import { signOutIfUnauthorized, useConnect } from '../session/client.js';
import { Button } from '../ui/button.js';
import { messageOf, numberOf } from '../ui/format.js';
import { Position } from '../ui/position.js';
import { ExactCopiesButton } from './exact-copies.js';
import { GroupCards } from './group-cards.js';
import { NotCompared, PendingNote } from './pending-note.js';
import { applyPlans, keepAsDifferent } from './resolve.js';
import { type Decision, type Plan, planRemoval, type ReviewGroup, suggestedRemovals } from './review-groups.js';
import { duplicatesKey, type FoundDuplicates, useDuplicates } from './use-duplicates.js';

/** The review of duplicates: one group a screen. The address names the group by its suggested keeper. */
export function DuplicatesView({ dataset }: { dataset: DatasetWithFiles }) {
  const { groups: found, pending, error, retry } = useDuplicates(dataset);
  const resolving = useResolving(dataset.id);
  const [parameters, setParameters] = useSearchParams();
  const [lastIndex, setLastIndex] = useState(0);
  const groups = found?.filter(({ key }) => !resolving.keys.has(key));
  const named = parameters.get('group');
  const at = groups?.findIndex(({ candidates }) => candidates.some(({ file }) => file.filename === named)) ?? -1;
  const index = at >= 0 ? at : Math.min(lastIndex, Math.max(0, (groups?.length ?? 0) - 1));
  if (index !== lastIndex && groups !== undefined) setLastIndex(index);
  const group = groups?.[index];
  const show = (next: ReviewGroup | undefined) =>
    setParameters(next === undefined ? {} : { group: next.candidates[0]!.file.filename }, { replace: true });
  usePreloaded(dataset.id, groups?.[index + 1]?.candidates.map(({ file }) => file) ?? []);
  const goOn = () => show(groups?.[index + 1] ?? groups?.[index - 1]);
  return (
    <div className="-mx-4 -mt-4 flex grow flex-col">
      {resolving.failure !== undefined && (
        <p role="alert" className="flex flex-wrap items-center gap-3 bg-bad-soft px-4 py-2 text-bad">
          {resolving.failure} <Button onClick={resolving.dismiss}>Dismiss</Button>
        </p>
      )}
      {group === undefined ? (
        <NoGroup {...{ dataset, pending, error, retry }} isLoading={groups === undefined} />
      ) : (
        <Review
          key={group.key}
          {...{ dataset, group, pending }}
          position={
            <GroupPosition
              {...{ index }}
              count={groups!.length}
              onMove={(step) => groups?.[index + step] !== undefined && show(groups[index + step])}
            />
          }
          copies={<ExactCopiesButton groups={groups!} onConfirm={resolving.apply} />}
          onApply={(plan) => {
            goOn();
            const isDecision = plan.files.length === 0;
            void (isDecision ? resolving.keepAll(plan.group, plan.kept) : resolving.apply([plan], plan.group));
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

/** Groups that are being resolved are hidden; one that could not be resolved is there again. */
function useResolving(datasetId: string) {
  const connect = useConnect();
  const queries = useQueryClient();
  const [keys, setKeys] = useState<ReadonlySet<string>>(new Set());
  const [failure, setFailure] = useState<string>();
  const queryKey = duplicatesKey(datasetId);
  const resolve = async (group: ReviewGroup | undefined, work: Promise<void>) => {
    const key = group?.key;
    setFailure(undefined);
    if (key !== undefined) setKeys((known) => new Set(known).add(key));
    try {
      await work;
      const keeper = group?.candidates[0]?.file.filename;
      queries.setQueryData<Duplicates>(
        queryKey,
        (known) => known && { ...known, groups: known.groups.filter((each) => each.keeper !== keeper) },
      );
    } catch (error) {
      signOutIfUnauthorized(error);
      setFailure(messageOf(error));
    }
    if (key !== undefined) setKeys((known) => new Set([...known].filter((each) => each !== key)));
    await queries.invalidateQueries({ queryKey });
  };
  const options = { connect, datasetId };
  return {
    keys,
    failure,
    dismiss: () => setFailure(undefined),
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
  const names = candidates.map(({ file }) => file.filename);
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
              {applyText(plan)} <Key name="duplicateApply" />
            </Button>
            <Button
              disabled={!canDiffer}
              title={whyNot ?? withKey('Keep all, and do not ask again', 'duplicateDifferent')}
              onClick={onDifferent}
            >
              These are different <Key name="duplicateDifferent" />
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

function Key({ name }: { name: 'duplicateApply' | 'duplicateDifferent' }) {
  return (
    <kbd aria-hidden className="rounded border border-current/40 px-1 font-sans text-xs pointer-coarse:hidden">
      {keyText(KEY_TABLE[name].keys[0])}
    </kbd>
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
function captionText({ captions, captionOf, move, kept, files, group }: Plan): string {
  const keeper = kept[0]?.file.filename;
  if (captions.length > 1) {
    return move === undefined
      ? `The captions differ: ${keeper} keeps its own.`
      : `The captions differ: ${keeper} gets that of ${captionOf}.`;
  }
  if (move !== undefined) return `${move.from.filename} moves to ${keeper}.`;
  if (files.length > 0) return '';
  const isMirrored = group.candidates.some(({ kind }) => kind === 'mirrored');
  return isMirrored ? 'A mirrored picture may be intended.' : '';
}

interface GroupPositionProps {
  readonly index: number;
  readonly count: number;
  readonly onMove: (step: -1 | 1) => unknown;
}

function GroupPosition(props: GroupPositionProps) {
  useKeys({
    duplicateGroup: ({ key }) => {
      props.onMove(key === 'ArrowUp' ? -1 : 1);
    },
  });
  return <Position what="Group" keys={[keyText('ArrowUp'), keyText('ArrowDown')]} {...props} />;
}

interface NoGroupProps extends Omit<FoundDuplicates, 'groups'> {
  readonly dataset: DatasetWithFiles;
  readonly isLoading: boolean;
}

function NoGroup({ dataset, isLoading, pending, error, retry }: NoGroupProps) {
  return (
    <div className="flex flex-col items-center gap-3 px-4 py-16 text-center">
      {isLoading && error !== null ? (
        <NotCompared {...{ error, retry }} />
      ) : (
        <p role="status" className="text-lg font-medium">
          {isLoading ? 'Comparing the pictures …' : 'No duplicates are left to decide.'}
        </p>
      )}
      <PendingNote pending={pending} />
      {!isLoading && (
        <Link href={`/datasets/${dataset.id}`} className="text-link">
          Go to the workbench
        </Link>
      )}
    </div>
  );
}
