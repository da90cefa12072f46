import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useEffectEvent, useRef, useState } from 'react';
import { MAX_NAMES_PER_REQUEST } from '../../src/api/limits.js';
import type { CaptionDecisions, CaptionProposal } from '../../src/client/client.js';
import { refetchRuns } from '../live/caption-runs.js';
import { newChangeId, signOutIfUnauthorized, useClient, useConnect } from '../session/client.js';
import { recordChange } from '../undo/recent-change.js';
import { countOf, messageOf } from '../ui/format.js';

export type Decided =
  | { readonly is: 'saving' | 'accepted' | 'dismissed' }
  /** It can be decided again. */
  | { readonly is: 'failed'; readonly reason: string };

/** A proposal that is accepted, with the ETag of the caption that the person has seen in its place. */
export interface Accepted {
  readonly id: string;
  /** If it was edited. */
  readonly text?: string;
  readonly ifMatch: string | null;
}

/** The open proposals of a dataset as they were when the review began, and what became of them since. */
export function useReview(datasetId: string) {
  const client = useClient();
  const connect = useConnect();
  const queries = useQueryClient();
  const { data, error, isFetching, refetch } = useQuery({
    queryKey: ['review', datasetId],
    queryFn: ({ signal }) => client.captioning.proposals(datasetId, { limit: MAX_NAMES_PER_REQUEST }, { signal }),
    // Another visit begins another review.
    refetchOnMount: 'always',
    gcTime: 0,
  });
  const [decided, setDecided] = useState<ReadonlyMap<string, Decided>>(new Map());
  // All that is accepted in one review is one revision.
  const [changeId] = useState(newChangeId);
  const accepted = useRef(0);
  const saving = useRef(Promise.resolve());
  const mark = (changes: readonly (readonly [string, Decided])[]) =>
    setDecided((known) => new Map([...known, ...changes]));
  const record = ({ isUnfinished }: { isUnfinished: boolean }) => {
    if (accepted.current === 0) return;
    const text = `${countOf(accepted.current, 'proposal')} accepted.`;
    recordChange(datasetId, { text, made: { changeId }, isUnfinished });
  };
  // An undo takes back the whole review, so it is offered at its end: once all are decided, or it is left.
  const areAllDecided = data?.proposals.every((each) => !isOpen(each, decided));
  const finish = useEffectEvent(() => {
    saving.current = saving.current.then(() => record({ isUnfinished: false }));
  });
  useEffect(() => {
    if (areAllDecided) finish();
  }, [areAllDecided]);
  useEffect(() => () => finish(), []);
  const decide = (accept: readonly Accepted[], dismiss: readonly string[] = []) => {
    const ids = [...accept.map(({ id }) => id), ...dismiss];
    mark(ids.map((id) => [id, { is: 'saving' }]));
    const save = async () => {
      try {
        const reviewing = connect({ how: 'edit', id: changeId }).captioning;
        const answer = await reviewing.decide(datasetId, { accept: [...accept], dismiss: [...dismiss] });
        mark(outcomesOf(answer, dismiss));
        accepted.current += answer.accepted.filter(({ outcome }) => outcome === 'accepted').length;
        record({ isUnfinished: true });
      } catch (error) {
        mark(ids.map((id) => [id, { is: 'failed', reason: messageOf(error) }]));
        signOutIfUnauthorized(error);
      }
      void refetchRuns(queries, datasetId);
    };
    // In the order of the decisions.
    saving.current = saving.current.then(save);
  };
  return {
    proposals: isFetching && decided.size === 0 ? undefined : data?.proposals,
    total: data?.total ?? 0,
    error,
    refetch,
    decided,
    decide,
  };
}

function outcomesOf({ accepted }: CaptionDecisions, dismiss: readonly string[]): [string, Decided][] {
  return [
    ...dismiss.map((id): [string, Decided] => [id, { is: 'dismissed' }]),
    ...accepted.map(({ id, outcome, problem }): [string, Decided] => {
      if (outcome === 'accepted') return [id, { is: 'accepted' }];
      return [id, { is: 'failed', reason: problem?.message ?? FAILURES[outcome] }];
    }),
  ];
}

const FAILURES = {
  outdated: 'The caption was changed meanwhile. Look at it again.',
  rejected: 'The text is no valid caption.',
  not_open: 'It was decided elsewhere, or another run has replaced it.',
} as const;

/** Whether a proposal waits for a decision. */
export function isOpen({ id }: CaptionProposal, decided: ReadonlyMap<string, Decided>): boolean {
  const state = decided.get(id);
  return state === undefined || state.is === 'failed';
}
