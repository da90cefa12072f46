import { useCallback, useState } from 'react';
import type { LinkSlot } from '../../src/dataset/dataset.js';
import type { Pair } from '../live/pairs.js';
import { TARGET_ALONE } from '../pairs/viewer/comparison-choice.js';

/** The pair that the viewer shows, and how. If it is deleted, the viewer shows the pair that takes its position. */
export function useViewerState(shown: readonly Pair[]) {
  const [viewed, setViewed] = useState<{ readonly stem: string; readonly index: number }>();
  const [choice, setChoice] = useState(TARGET_ALONE);
  const at = viewed === undefined ? -1 : shown.findIndex(({ stem }) => stem === viewed.stem);
  const index =
    viewed === undefined || shown.length === 0 ? undefined : at >= 0 ? at : Math.min(viewed.index, shown.length - 1);
  const stem = index === undefined ? undefined : shown[index]?.stem;
  if (viewed !== undefined && (viewed.stem !== stem || viewed.index !== index)) {
    setViewed(stem === undefined || index === undefined ? undefined : { stem, index });
  }
  return {
    index,
    choice,
    choose: setChoice,
    open: useCallback((opened: string, slot?: LinkSlot) => {
      setViewed({ stem: opened, index: 0 });
      if (slot !== undefined) setChoice((known) => ({ ...known, slot }));
    }, []),
    close: useCallback(() => setViewed(undefined), []),
  };
}
