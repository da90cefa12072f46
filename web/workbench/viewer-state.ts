import { useCallback, useEffect, useEffectEvent, useLayoutEffect, useRef, useState } from 'react';
import { useSearchParams } from 'wouter';
import type { LinkSlot } from '../../src/dataset/dataset.js';
import { stemOf } from '../../src/dataset/media.js';
import type { Pair } from '../live/pairs.js';
import { MAX_COMPARED } from '../pairs/viewer/picture-comparison.js';
import { TARGET_ALONE } from '../pairs/viewer/comparison.js';

/** The parameter of the address that names the pair in the viewer. With two to four of them, they are compared. */
const VIEW = 'view';

/** The state of an entry of the browser's history that opened the viewer: Back closes it. */
const OPENED = { isViewerOpened: true };

interface ViewerOptions {
  readonly pairs: readonly Pair[];
  /** The pairs that match the filter, in their order. */
  readonly shown: readonly Pair[];
  /** Called after the viewer was closed, by Back too, with the pair that it showed last. */
  readonly onClosed: (stem: string) => void;
}

/** The viewer as the address says: which pair it shows, or which ones it compares. */
export function useViewerState({ pairs, shown, onClosed }: ViewerOptions) {
  const { names, setNames, close } = useViewAddress();
  const [choice, setChoice] = useState(TARGET_ALONE);
  const viewed = useViewedPair(names.length === 1 ? names[0] : undefined, { pairs, shown });
  const compared = names.length < 2 ? undefined : pairsOfNames(names.slice(0, MAX_COMPARED), pairs);

  const { stem, asked } = viewed;
  // A deleted pair leaves its place to the next one; the last of those that were compared has nothing to be compared with.
  const follow = useEffectEvent(() => {
    if (stem !== undefined && stem !== asked) setNames([nameIn(pairs, stem)]);
    else if (viewed.isGone || (compared !== undefined && compared.length < 2)) close();
  });
  const comparedCount = compared?.length;
  // biome-ignore lint/correctness/useExhaustiveDependencies: all that the step depends on
  useEffect(() => follow(), [stem, asked, viewed.isGone, comparedCount]);

  const open = stem ?? compared?.[0]?.stem;
  const last = useRef<string>(undefined);
  const tellClosed = useEffectEvent(onClosed);
  useLayoutEffect(() => {
    const before = last.current;
    last.current = open;
    if (open === undefined && before !== undefined) tellClosed(before);
  }, [open]);
  return {
    ...viewed,
    compared: compared !== undefined && compared.length > 1 ? compared : undefined,
    choice,
    choose: setChoice,
    open: useCallback(
      (opened: string, slot?: LinkSlot) => {
        setNames([nameIn(pairs, opened)]);
        if (slot !== undefined) setChoice((known) => ({ ...known, slot }));
      },
      [setNames, pairs],
    ),
    showFile: (filename: string) => setNames([filename]),
    compare: (stems: readonly string[]) => setNames(stems.map((each) => nameIn(pairs, each))),
    close,
  };
}

function useViewAddress() {
  const [parameters, setParameters] = useSearchParams();
  const names = parameters.getAll(VIEW);
  const isOpen = names.length > 0;
  // Back takes effect later: a second Escape must not go back once more.
  const isClosing = useRef(false);
  useLayoutEffect(() => {
    isClosing.current = isClosing.current && isOpen;
    if (!isOpen) history.scrollRestoration = 'auto';
  }, [isOpen]);
  const setNames = useCallback(
    (next: readonly string[]) => {
      const isMove = new URLSearchParams(location.search).has(VIEW);
      // Back shows the card of the last pair, not the place where the page was when the viewer opened.
      if (!isMove) history.scrollRestoration = 'manual';
      setParameters(
        (known) => {
          const changed = new URLSearchParams(known);
          changed.delete(VIEW);
          for (const name of next) changed.append(VIEW, name);
          return changed;
        },
        { replace: isMove, state: isMove ? history.state : OPENED },
      );
    },
    [setParameters],
  );
  const close = () => {
    if (isClosing.current) return;
    isClosing.current = true;
    if ((history.state as Partial<typeof OPENED> | null)?.isViewerOpened === true) history.back();
    // A link has led here: Back would leave the dataset.
    else setNames([]);
  };
  return { names, setNames, close };
}

/** The pair of a name. If it is deleted while it is shown, the pair that takes its position. */
function useViewedPair(filename: string | undefined, { pairs, shown }: Omit<ViewerOptions, 'onClosed'>) {
  const asked = filename === undefined ? undefined : stemOf(filename.normalize('NFC'));
  const [last, setLast] = useState<{ readonly stem: string; readonly index: number }>();
  const isAsked = ({ stem }: Pair) => stem === asked;
  // A link shows its pair, whether it matches the filter or not.
  const list = asked === undefined || shown.some(isAsked) || !pairs.some(isAsked) ? shown : pairs;
  const at = asked === undefined ? -1 : list.findIndex(isAsked);
  if (asked !== undefined && at >= 0 && (last?.stem !== asked || last.index !== at))
    setLast({ stem: asked, index: at });
  const wasShown = asked !== undefined && last?.stem === asked;
  const index = at >= 0 ? at : wasShown && shown.length > 0 ? Math.min(last.index, shown.length - 1) : undefined;
  const stem = index === undefined ? undefined : list[index]?.stem;
  return {
    /** The stem in the address. */
    asked,
    /** The pairs that the viewer pages through. */
    list,
    index,
    stem,
    filename,
    /** The pair was shown, and no pair is left. */
    isGone: wasShown && stem === undefined,
    /** The pair in the address is not in the dataset. */
    missing: asked !== undefined && stem === undefined && !wasShown ? filename : undefined,
  };
}

function pairsOfNames(names: readonly string[], pairs: readonly Pair[]): readonly Pair[] {
  const stems = new Set(names.map((name) => stemOf(name.normalize('NFC'))));
  return [...stems].flatMap((stem) => pairs.find((pair) => pair.stem === stem) ?? []);
}

/** Names a pair by its file, which people know. */
function nameIn(pairs: readonly Pair[], stem: string): string {
  const { media, files } = pairs.find((pair) => pair.stem === stem) ?? { media: [], files: [] };
  return (media[0] ?? files[0])?.filename ?? stem;
}
