import { useEffect, useState } from 'react';
import type { Pair } from '../../live/pairs.js';
import { forEachInChunks } from '../in-chunks.js';
import { textOf } from '../read-pairs.js';
import { type BulkChange, type CaptionChange, changePlanner } from './plan.js';

export interface ChangePlan {
  readonly change: BulkChange;
  readonly pairs: readonly Pair[];
  readonly changes: readonly CaptionChange[];
}

/** What a change would do to these pairs; the plan of a moment ago, and none at first, while that is found out. */
export function useChangePlan(pairs: readonly Pair[], change: BulkChange): ChangePlan | undefined {
  const [plan, setPlan] = useState<ChangePlan>();
  useEffect(() => {
    const planning = new AbortController();
    const changes: CaptionChange[] = [];
    const plan = changePlanner(textOf, change);
    const look = (pair: Pair) => {
      const planned = plan(pair);
      if (planned !== undefined) changes.push(planned);
    };
    forEachInChunks(pairs, look, planning.signal).then(
      () => !planning.signal.aborted && setPlan({ change, pairs, changes }),
      () => {},
    );
    return () => planning.abort();
  }, [pairs, change]);
  return plan;
}
