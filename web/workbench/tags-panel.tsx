import type { ComponentProps } from 'react';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { JobStatus } from '../captions/bulk/job-status.js';
import { isTextCaption } from '../../src/dataset/media.js';
import { useJob } from '../captions/bulk/jobs.js';
import type { CaptionStatistics } from '../captions/caption-statistics.js';
import { TagStyleChoice } from '../captions/editing/tag-chips.js';
import { CaptionProgress } from '../captions/caption-progress.js';
import type { ReadPairs } from '../captions/read-pairs.js';
import { StatisticsPanel } from '../captions/statistics-panel.js';
import { TermsPanel } from '../captions/terms/terms-panel.js';
import type { TermKind } from '../captions/terms/terms.js';
import type { TermCounts } from '../captions/terms/use-terms.js';
import { LinksLine } from '../links/links-line.js';
import { LoadFailure } from '../ui/loaded.js';
import type { WorkbenchFilter } from './workbench-filter.js';

interface TagsPanelProps {
  readonly dataset: DatasetWithFiles;
  readonly read: ReadPairs;
  readonly statistics: CaptionStatistics | undefined;
  readonly counts: TermCounts | undefined;
  readonly kind: TermKind;
  readonly onKind: (kind: TermKind) => void;
  readonly filter: WorkbenchFilter;
  readonly onFilter: (changes: Partial<WorkbenchFilter>) => void;
  /** What can be done with tags; `undefined` where nothing may be changed. */
  readonly tagVerbs: ComponentProps<typeof TermsPanel>['verbs'];
  /** What the last key or button did to a tag. */
  readonly note: string;
  /** Whether a change to many captions is shown here, because the inspector is closed. */
  readonly showsJob: boolean;
}

/** The tags and words of all captions, and their statistics. Each leads to the pairs that it counts. */
export function TagsPanel(props: TagsPanelProps) {
  const { dataset, read, statistics, counts, kind, onKind, filter, onFilter, tagVerbs, note, showsJob } = props;
  const job = useJob(dataset.id);
  const { term } = filter;
  return (
    <>
      <LinksLine dataset={dataset} />
      <LoadFailure error={read.error} what="Could not read all captions." onRetry={read.retry} />
      {read.error === null && read.pairs === undefined && (
        <CaptionProgress
          done={read.known}
          total={dataset.files.filter(({ filename }) => isTextCaption(filename)).length}
          what="captions read"
        />
      )}
      {showsJob && job !== undefined && <JobStatus datasetId={dataset.id} job={job} />}
      <p role="status" className="rounded-lg bg-raised p-2 wrap-anywhere empty:hidden">
        {note}
      </p>
      {statistics !== undefined && (
        <>
          <TermsPanel
            datasetId={dataset.id}
            verbs={tagVerbs}
            onRenamed={(from, to) => {
              const pins = tagVerbs?.pins ?? {};
              const key = Object.keys(pins).find((each) => pins[each] === from);
              // To pin a tag again takes it off.
              if (key !== undefined) tagVerbs?.onPin(key, to || from);
              if (term?.kind !== 'tag' || term.term !== from) return;
              onFilter({ term: to === '' ? undefined : { kind: 'tag', term: to } });
            }}
            kind={kind}
            counts={counts}
            selected={term?.kind === kind ? term.term : undefined}
            onKind={(next) => {
              onKind(next);
              if (term !== undefined) onFilter({ term: undefined });
            }}
            onSelect={(chosen) => {
              const isOff = term?.kind === kind && term.term === chosen;
              onFilter({ term: isOff ? undefined : { kind, term: chosen } });
            }}
          />
          <TagStyleChoice />
          <StatisticsPanel
            datasetId={dataset.id}
            statistics={statistics}
            onFilter={(view) => onFilter({ view, term: undefined })}
          />
        </>
      )}
    </>
  );
}
