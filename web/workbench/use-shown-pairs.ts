import { useDeferredValue, useMemo, useState } from 'react';
import { useSearchParams } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { captionStatisticsOf } from '../captions/caption-statistics.js';
import { textOf, useReadPairs } from '../captions/read-pairs.js';
import type { TermKind } from '../captions/terms/terms.js';
import { captionsWith, useTerms } from '../captions/terms/use-terms.js';
import type { LinkedDataset } from '../live/counterparts.js';
import type { Pair } from '../live/pairs.js';
import { markedTexts, searchMatcher } from '../search/query.js';
import { useSearch } from '../search/use-search.js';
import { useFrozenOrder } from './pair-order.js';
import {
  filterKeyOf,
  matchesOf,
  type WorkbenchFilter,
  workbenchFilterOf,
  workbenchParameters,
} from './workbench-filter.js';

const NO_PAIRS: readonly Pair[] = [];

/** The filter in the address, and how often it was chosen: to choose it again lists the pairs anew. */
export function useWorkbenchFilter() {
  const [parameters, setParameters] = useSearchParams();
  const [times, setTimes] = useState(0);
  // The address also names the pair in the viewer, which changes no filter.
  const key = workbenchParameters(workbenchFilterOf(parameters)).toString();
  const filter = useMemo(() => workbenchFilterOf(new URLSearchParams(key)), [key]);
  const setFilter = (changes: Partial<WorkbenchFilter>) => {
    setTimes(times + 1);
    setParameters(workbenchParameters({ ...filter, file: undefined, ...changes }), { replace: true });
  };
  return { filter, setFilter, times };
}

/** Reads the captions of a training dataset, and counts what is in them. */
export function useReadCaptions({ id, role }: DatasetWithFiles, pairs: readonly Pair[], term: WorkbenchFilter['term']) {
  const read = useReadPairs(id, role === 'training' ? pairs : undefined);
  const [lastKind, setKind] = useState<TermKind>('tag');
  const kind = term?.kind ?? lastKind;
  const tagCounts = useTerms(read.pairs, 'tag');
  const words = useTerms(kind === 'word' ? read.pairs : undefined, 'word');
  const counts = kind === 'tag' ? tagCounts : words;
  const tags = useMemo(() => (tagCounts?.terms ?? []).toReversed(), [tagCounts]);
  const statistics = useMemo(() => read.pairs && captionStatisticsOf(read.pairs, textOf), [read.pairs]);
  const duplicates = useMemo(() => statistics && stemsOf(statistics.duplicates), [statistics]);
  const withTerm = useMemo(() => {
    if (term === undefined || counts === undefined) return undefined;
    return stemsOf(captionsWith(counts, term.term));
  }, [term, counts]);
  return {
    read,
    statistics,
    /** The tags or the words, as `kind` says. */
    counts,
    /** The most frequent first. */
    tags,
    /** What is counted, tags or words. */
    kind,
    setKind,
    term: withTerm,
    duplicates,
  };
}

/** What is known of the captions of a dataset. */
export type ReadCaptions = ReturnType<typeof useReadCaptions>;

function stemsOf(pairs: readonly Pair[]): ReadonlySet<string> {
  return new Set(pairs.map(({ stem }) => stem));
}

interface ShownOptions {
  readonly filter: WorkbenchFilter;
  readonly times: number;
  readonly linked: readonly LinkedDataset[];
  readonly known: ReadCaptions;
  readonly proposed: ReadonlySet<string>;
}

/** The pairs that match the filter, or have matched it since it was chosen, in the order that they had at first. */
export function useShownPairs(pairs: readonly Pair[], { linked, known, proposed, ...asked }: ShownOptions) {
  // Typing stays responsive; the cards follow.
  const filter = useDeferredValue(asked.filter);
  const key = `${useDeferredValue(asked.times)} ${filterKeyOf(filter)}`;
  const { term, duplicates, read } = known;
  const { query, fault, found } = useSearch(filter.search, pairs, read);
  // biome-ignore lint/correctness/useExhaustiveDependencies: texts are known once their pairs have been read
  const isFound = useMemo(
    () => (found === undefined ? undefined : searchMatcher(query, pairs, { linked, textOf, found, proposed })),
    [query, pairs, linked, found, proposed, read.pairs],
  );
  const matching = useMemo(
    () => matchesOf(filter, pairs, { linked, term, duplicates, isFound }),
    [filter, pairs, linked, term, duplicates, isFound],
  );
  const marks = useMemo(() => markedTexts(query, found ?? new Map()), [query, found]);
  const shown = useFrozenOrder(key, pairs, { matching: matching ?? NO_PAIRS, order: filter.order });
  const done = useMemo(() => {
    const matches = stemsOf(matching ?? shown);
    return stemsOf(shown.filter(({ stem }) => !matches.has(stem)));
  }, [matching, shown]);
  return {
    shown,
    /** Of those that are shown, the pairs that no longer match. */
    done,
    /** The filter that they are shown for, which follows that of the address. */
    filter,
    isCounting: matching === undefined,
    /** What is wrong with the search. */
    fault,
    /** The texts to mark, by stem. */
    marks,
  };
}
