import { useCallback, useMemo, useState } from 'react';
import { useSearchParams } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { type Pair, pairsOf } from '../live/pairs.js';
import { useIsShared } from '../session/client.js';
import { Button } from '../ui/button.js';
import { messageOf } from '../ui/format.js';
import { BulkPanel } from './bulk/bulk-panel.js';
import { captionStatisticsOf } from './caption-statistics.js';
import {
  ALL_CAPTIONS,
  type CaptionFilter,
  captionFilterOf,
  matchingPairs,
  describeFilter,
  captionFilterParameters,
} from './caption-filter.js';
import { CaptionList } from './caption-list.js';
import { StatisticsPanel } from './statistics-panel.js';
import { CaptionProgress } from './caption-progress.js';
import { type ReadPairs, textOf, useReadPairs } from './read-pairs.js';
import type { TermKind } from './terms/terms.js';
import { TermsPanel } from './terms/terms-panel.js';
import { useTerms } from './terms/use-terms.js';
import { useStickySelection } from './use-sticky-selection.js';

const NONE: readonly Pair[] = [];

/** The captions of a dataset: statistics, tags and words, the list, and changes to many at once. */
export function CaptionsView({ dataset }: { dataset: DatasetWithFiles }) {
  const pairs = useMemo(() => pairsOf(dataset), [dataset]);
  const read = useReadPairs(dataset.id, pairs);
  const isShared = useIsShared();
  if (pairs.length === 0) {
    return (
      <p className="py-8 text-muted">
        No images or clips yet.{!isShared && ' Drop them here, then write their captions.'}
      </p>
    );
  }
  return (
    <>
      <ReadingStatus read={read} captions={dataset.counts.captions} />
      {read.pairs !== undefined && <Captions datasetId={dataset.id} pairs={pairs} read={read.pairs} />}
    </>
  );
}

function ReadingStatus({ read, captions }: { read: ReadPairs; captions: number }) {
  if (read.error !== undefined) {
    return (
      <div role="alert" className="flex flex-wrap items-center gap-3 text-bad">
        Could not read all captions. {messageOf(read.error)} <Button onClick={read.retry}>Try again</Button>
      </div>
    );
  }
  return read.pairs === undefined ? <CaptionProgress done={read.known} total={captions} what="captions read" /> : null;
}

interface CaptionsProps {
  readonly datasetId: string;
  readonly pairs: readonly Pair[];
  /** The pairs whose texts are known. */
  readonly read: readonly Pair[];
}

function Captions({ datasetId, pairs, read }: CaptionsProps) {
  const [parameters, setParameters] = useSearchParams();
  const filter = useMemo(() => captionFilterOf(parameters), [parameters]);
  const setFilter = useCallback(
    (next: CaptionFilter) => setParameters(captionFilterParameters(next), { replace: true }),
    [setParameters],
  );
  const [lastKind, setLastKind] = useState<TermKind>('tag');
  const kind = filter.kind === 'word' || filter.kind === 'tag' ? filter.kind : lastKind;
  const counts = useTerms(read, kind);
  const statistics = useMemo(() => captionStatisticsOf(read, textOf), [read]);
  const matching = useMemo(
    () => matchingPairs(filter, { pairs: read, statistics, counts }),
    [filter, read, statistics, counts],
  );
  const listed = useStickySelection(parameters.toString(), pairs, matching ?? NONE);
  const onSelectTerm = useCallback((term: string) => setFilter({ kind, term }), [kind, setFilter]);
  return (
    <div className="grid gap-4 lg:grid-cols-[20rem_minmax(0,1fr)]">
      <div className="flex min-w-0 flex-col gap-4">
        <StatisticsPanel datasetId={datasetId} statistics={statistics} onFilter={setFilter} />
        <div className="lg:sticky lg:top-4">
          <TermsPanel
            kind={kind}
            counts={counts}
            selected={filter.kind === kind ? filter.term : undefined}
            onKind={(next) => {
              setLastKind(next);
              setFilter(ALL_CAPTIONS);
            }}
            onSelect={onSelectTerm}
          />
        </div>
      </div>
      <div className="flex min-w-0 flex-col gap-4">
        <BulkPanel
          datasetId={datasetId}
          pairs={matching ?? NONE}
          scope={describeFilter(filter)}
          initialKind={statistics.captions === 0 ? 'fill' : 'prepend'}
        />
        <div className="flex flex-wrap items-center gap-3">
          <h2 role="status" className="text-base font-semibold wrap-anywhere first-letter:uppercase">
            {matching === undefined ? 'Counting …' : describeFilter(filter, matching.length)}
          </h2>
          {filter.kind !== 'all' && <Button onClick={() => setFilter(ALL_CAPTIONS)}>Show all</Button>}
        </div>
        <CaptionList datasetId={datasetId} pairs={listed} />
      </div>
    </div>
  );
}
