import type { DatasetWithFiles } from '../../src/client/client.js';
import type { CaptionStatistics } from '../captions/caption-statistics.js';
import { CaptionProgress } from '../captions/caption-progress.js';
import type { ReadPairs } from '../captions/read-pairs.js';
import { StatisticsPanel } from '../captions/statistics-panel.js';
import { TermsPanel } from '../captions/terms/terms-panel.js';
import type { TermKind } from '../captions/terms/terms.js';
import type { TermCounts } from '../captions/terms/use-terms.js';
import { LinksLine } from '../links/links-line.js';
import { Button } from '../ui/button.js';
import { messageOf } from '../ui/format.js';
import type { WorkbenchFilter } from './workbench-filter.js';

interface TagsPanelProps {
  readonly dataset: DatasetWithFiles;
  readonly read: ReadPairs;
  readonly statistics: CaptionStatistics | undefined;
  readonly counts: TermCounts | undefined;
  readonly kind: TermKind;
  readonly onKind: (kind: TermKind) => void;
  readonly filter: WorkbenchFilter;
  readonly onFilter: (filter: WorkbenchFilter) => void;
}

/** The tags and words of all captions, and their statistics. Each leads to the pairs that it counts. */
export function TagsPanel(props: TagsPanelProps) {
  const { dataset, read, statistics, counts, kind, onKind, filter, onFilter } = props;
  const { term } = filter;
  return (
    <>
      <LinksLine dataset={dataset} />
      {read.error !== undefined && (
        <div role="alert" className="flex flex-wrap items-center gap-3 text-bad">
          Could not read all captions. {messageOf(read.error)} <Button onClick={read.retry}>Try again</Button>
        </div>
      )}
      {read.error === undefined && read.pairs === undefined && (
        <CaptionProgress done={read.known} total={dataset.counts.captions} what="captions read" />
      )}
      {statistics !== undefined && (
        <>
          <TermsPanel
            kind={kind}
            counts={counts}
            selected={term?.kind === kind ? term.term : undefined}
            onKind={(next) => {
              onKind(next);
              if (term !== undefined) onFilter({ ...filter, term: undefined });
            }}
            onSelect={(chosen) => {
              const isOff = term?.kind === kind && term.term === chosen;
              onFilter({ ...filter, term: isOff ? undefined : { kind, term: chosen }, file: undefined });
            }}
          />
          <StatisticsPanel
            datasetId={dataset.id}
            statistics={statistics}
            onFilter={(view) => onFilter({ ...filter, view, term: undefined, file: undefined })}
          />
        </>
      )}
    </>
  );
}
