import { useEffect, useMemo, useState } from 'react';
import type { Pair } from '../live/pairs.js';

const NONE: ReadonlySet<string> = new Set();

/**
 * Of all pairs those that are chosen, and those that were since that choice was made: a caption that loses the tag by which
 * it was found does not vanish under the hands of who edits it.
 */
export function useStickySelection(choice: string, pairs: readonly Pair[], chosen: readonly Pair[]): readonly Pair[] {
  const [before, setBefore] = useState({ choice, stems: NONE });
  const stems = useMemo(() => {
    const staying = before.choice === choice ? before.stems : NONE;
    return new Set([...staying, ...chosen.map(({ stem }) => stem)]);
  }, [before, choice, chosen]);
  useEffect(() => {
    if (before.choice !== choice || before.stems.size !== stems.size) setBefore({ choice, stems });
  }, [before, choice, stems]);
  return useMemo(() => pairs.filter(({ stem }) => stems.has(stem)), [pairs, stems]);
}
