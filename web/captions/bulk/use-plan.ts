import { useEffect, useState } from 'react';
import type { Pair } from '../../live/pairs.js';
import { inSlices } from '../in-chunks.js';
import { textOf } from '../read-pairs.js';
import { type BulkChange, type Change, planner } from './plan.js';

export interface Plan {
  readonly change: BulkChange;
  readonly pairs: readonly Pair[];
  readonly changes: readonly Change[];
}

/** What a change would do to these pairs; the plan of a moment ago, and none at first, while that is found out. */
export function usePlan(pairs: readonly Pair[], change: BulkChange): Plan | undefined {
  const [plan, setPlan] = useState<Plan>();
  useEffect(() => {
    const planning = new AbortController();
    const changes: Change[] = [];
    const plan = planner(textOf, change);
    const look = (pair: Pair) => {
      const planned = plan(pair);
      if (planned !== undefined) changes.push(planned);
    };
    inSlices(pairs, look, planning.signal).then(
      () => !planning.signal.aborted && setPlan({ change, pairs, changes }),
      () => {},
    );
    return () => planning.abort();
  }, [pairs, change]);
  return plan;
}
