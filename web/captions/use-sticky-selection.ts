import { useEffect, useMemo, useState } from 'react';
import type { Pair } from '../live/pairs.js';

const NONE: ReadonlySet<string> = new Set();

/**
 * Returns the pairs that match a filter now or have matched it since it was chosen, so that a caption stays listed while the
 * user removes the tag that it was listed for.
 */
export function useStickySelection(filter: string, pairs: readonly Pair[], matching: readonly Pair[]): readonly Pair[] {
  const [before, setBefore] = useState({ filter, stems: NONE });
  const stems = useMemo(() => {
    const kept = before.filter === filter ? before.stems : NONE;
    return new Set([...kept, ...matching.map(({ stem }) => stem)]);
  }, [before, filter, matching]);
  useEffect(() => {
    if (before.filter !== filter || before.stems.size !== stems.size) setBefore({ filter, stems });
  }, [before, filter, stems]);
  return useMemo(() => pairs.filter(({ stem }) => stems.has(stem)), [pairs, stems]);
}
