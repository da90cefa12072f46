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

/** Plans a change to pairs. While it plans, returns the previous plan; `undefined` at first. */
export function useChangePlan(pairs: readonly Pair[], change: BulkChange): ChangePlan | undefined {
  const [plan, setPlan] = useState<ChangePlan>();
  useEffect(() => {
    const planning = new AbortController();
    const changes: CaptionChange[] = [];
    const plan = changePlanner(textOf, change);
    const planPair = (pair: Pair) => {
      const planned = plan(pair);
      if (planned !== undefined) changes.push(planned);
    };
    forEachInChunks(pairs, planPair, planning.signal).then(
      () => !planning.signal.aborted && setPlan({ change, pairs, changes }),
      () => {},
    );
    return () => planning.abort();
  }, [pairs, change]);
  return plan;
}
