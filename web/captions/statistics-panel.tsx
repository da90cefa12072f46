import { memo, type ReactNode } from 'react';
import type { DatasetFile } from '../../src/client/client.js';
import { FileLink } from '../live/file-link.js';
import { numberOf } from '../ui/format.js';
import { Panel } from '../ui/panel.js';
import type { CaptionStatistics } from './caption-statistics.js';

interface StatisticsPanelProps {
  readonly datasetId: string;
  readonly statistics: CaptionStatistics;
  readonly onFilter: (issue: 'missing' | 'blank' | 'duplicates') => void;
}

/** Statistics of the captions of a dataset. A number lists or shows the captions that it counts. */
export const StatisticsPanel = memo(function StatisticsPanel(props: StatisticsPanelProps) {
  const { datasetId, statistics, onFilter } = props;
  const { captions, shortest, longest, medianLength } = statistics;
  const countIn = (issue: 'missing' | 'blank' | 'duplicates') => {
    const count = numberOf(statistics[issue].length);
    if (count === '0') return count;
    return (
      <button
        type="button"
        aria-label={`List ${count} ${issue}`}
        onClick={() => onFilter(issue)}
        className="cursor-pointer text-right text-link"
      >
        {count}
      </button>
    );
  };
  const lengthOf = (file: DatasetFile | undefined) =>
    file && (
      <FileLink datasetId={datasetId} filename={file.filename} title={`Show ${file.filename}`}>
        {charactersOf(file.characters ?? 0)}
      </FileLink>
    );
  const rows: Record<string, ReactNode> = {
    Captions: numberOf(captions),
    Missing: countIn('missing'),
    Blank: countIn('blank'),
    Duplicates: countIn('duplicates'),
    Shortest: lengthOf(shortest),
    Median: medianLength === undefined ? undefined : charactersOf(medianLength),
    Longest: lengthOf(longest),
  };
  return (
    <Panel title="Statistics">
      <dl className="grid grid-cols-[1fr_auto] items-center gap-x-4 gap-y-1 text-sm">
        {Object.entries(rows).map(
          ([name, value]) =>
            value !== undefined && (
              <div key={name} className="contents">
                <dt className="text-muted">{name}</dt>
                <dd className="text-right tabular-nums">{value}</dd>
              </div>
            ),
        )}
      </dl>
    </Panel>
  );
});

/** Abbreviated, so that it fits beside the name. */
function charactersOf(length: number): string {
  return `${numberOf(length)} char.`;
}
