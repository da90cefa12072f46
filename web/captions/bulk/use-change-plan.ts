import { useEffect, useState } from 'react';
import type { Pair } from '../../live/pairs.js';
import { forEachInChunks } from '../in-chunks.js';
import { textOf } from '../read-pairs.js';
import { type BulkChange, type CaptionChange, changePlanner, leavesOut } from './plan.js';

export interface ChangePlan {
  readonly change: BulkChange;
  readonly pairs: readonly Pair[];
  readonly changes: readonly CaptionChange[];
  /** The number of captions that are left out because they are sentences. */
  readonly sentences: number;
}

/** Plans a change to pairs. While it plans, returns the previous plan; `undefined` at first. */
export function useChangePlan(pairs: readonly Pair[], change: BulkChange): ChangePlan | undefined {
  const [plan, setPlan] = useState<ChangePlan>();
  useEffect(() => {
    const planning = new AbortController();
    const changes: CaptionChange[] = [];
    const plan = changePlanner(textOf, change);
    let sentences = 0;
    const planPair = (pair: Pair) => {
      const planned = plan(pair);
      const text = pair.caption && textOf(pair.caption);
      if (text !== undefined && leavesOut(change, text)) sentences++;
      if (planned !== undefined) changes.push(planned);
    };
    forEachInChunks(pairs, planPair, planning.signal).then(
      () => !planning.signal.aborted && setPlan({ change, pairs, changes, sentences }),
      () => {},
    );
    return () => planning.abort();
  }, [pairs, change]);
  return plan;
}
