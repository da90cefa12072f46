import { useCallback, useMemo, useState } from 'react';
import { useSearchParams } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { type Pair, pairsOf } from '../live/pairs.js';
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

/** All captions of a dataset together: numbers, tags and words, and changes to many at once. */
export function CaptionsView({ dataset }: { dataset: DatasetWithFiles }) {
  const pairs = useMemo(() => pairsOf(dataset), [dataset]);
  const read = useReadPairs(dataset.id, pairs);
  if (pairs.length === 0) {
    return <p className="py-8 text-muted">There is nothing to write captions for yet. Drop images or clips here.</p>;
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
        Not all captions could be read. {messageOf(read.error)} <Button onClick={read.retry}>Try again</Button>
      </div>
    );
  }
  return read.pairs === undefined ? <CaptionProgress done={read.known} total={captions} what="captions read" /> : null;
}

interface CaptionsProps {
  readonly datasetId: string;
  readonly pairs: readonly Pair[];
  /** Those of them whose texts are known. */
  readonly read: readonly Pair[];
}

function Captions({ datasetId, pairs, read }: CaptionsProps) {
  const [parameters, setParameters] = useSearchParams();
  const choice = useMemo(() => captionFilterOf(parameters), [parameters]);
  const choose = useCallback(
    (next: CaptionFilter) => setParameters(captionFilterParameters(next), { replace: true }),
    [setParameters],
  );
  const [browsed, setBrowsed] = useState<TermKind>('tag');
  const kind = choice.kind === 'word' || choice.kind === 'tag' ? choice.kind : browsed;
  const counted = useTerms(read, kind);
  const facts = useMemo(() => captionStatisticsOf(read, textOf), [read]);
  const chosen = useMemo(() => matchingPairs(choice, { pairs: read, facts, counted }), [choice, read, facts, counted]);
  const staying = useStickySelection(parameters.toString(), pairs, chosen ?? NONE);
  return (
    <div className="grid gap-4 lg:grid-cols-[20rem_minmax(0,1fr)]">
      <div className="flex min-w-0 flex-col gap-4">
        <StatisticsPanel datasetId={datasetId} statistics={facts} onFilter={choose} />
        <div className="lg:sticky lg:top-4">
          <TermsPanel
            kind={kind}
            counted={counted}
            filter={choice}
            onKind={(next) => {
              setBrowsed(next);
              choose(ALL_CAPTIONS);
            }}
            onFilter={choose}
          />
        </div>
      </div>
      <div className="flex min-w-0 flex-col gap-4">
        <BulkPanel
          datasetId={datasetId}
          pairs={chosen ?? NONE}
          scope={describeFilter(choice)}
          first={facts.captions === 0 ? 'fill' : 'prepend'}
        />
        <div className="flex flex-wrap items-center gap-3">
          <h2 role="status" className="text-base font-semibold wrap-anywhere first-letter:uppercase">
            {chosen === undefined ? 'Counting …' : describeFilter(choice, chosen.length)}
          </h2>
          {choice.kind !== 'all' && <Button onClick={() => choose(ALL_CAPTIONS)}>Show all</Button>}
        </div>
        <CaptionList datasetId={datasetId} pairs={staying} />
      </div>
    </div>
  );
}
