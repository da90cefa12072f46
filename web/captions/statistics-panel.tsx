import { memo, type ReactNode } from 'react';
import { Link } from 'wouter';
import type { DatasetFile } from '../../src/client/client.js';
import { numberOf } from '../ui/format.js';
import { Panel } from '../ui/panel.js';
import { type CaptionStatistics, captionLength } from './caption-statistics.js';

type CaptionIssue = 'missing' | 'blank' | 'duplicates';

interface StatisticsPanelProps {
  readonly datasetId: string;
  readonly statistics: CaptionStatistics;
  readonly onFilter: (issue: CaptionIssue) => void;
}

/** Statistics of the captions of a dataset. A number lists or shows the captions that it counts. */
export const StatisticsPanel = memo(function StatisticsPanel({
  datasetId,
  statistics,
  onFilter,
}: StatisticsPanelProps) {
  const { captions, shortest, longest, medianLength } = statistics;
  return (
    <Panel title="Statistics">
      <dl className="grid grid-cols-[1fr_auto] items-center gap-x-4 gap-y-1 text-sm">
        <Row name="Captions">{numberOf(captions)}</Row>
        <IssueCount name="Missing" issue="missing" {...{ statistics, onFilter }} />
        <IssueCount name="Blank" issue="blank" {...{ statistics, onFilter }} />
        <IssueCount name="Duplicates" issue="duplicates" {...{ statistics, onFilter }} />
        {shortest !== undefined && longest !== undefined && medianLength !== undefined && (
          <>
            <Row name="Shortest">
              <Length datasetId={datasetId} file={shortest} />
            </Row>
            <Row name="Median">{charactersOf(medianLength)}</Row>
            <Row name="Longest">
              <Length datasetId={datasetId} file={longest} />
            </Row>
          </>
        )}
      </dl>
    </Panel>
  );
});

function Row({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-muted">{name}</dt>
      <dd className="text-right tabular-nums">{children}</dd>
    </>
  );
}

interface IssueCountProps extends Pick<StatisticsPanelProps, 'statistics' | 'onFilter'> {
  readonly name: string;
  readonly issue: CaptionIssue;
}

function IssueCount({ name, issue, statistics, onFilter }: IssueCountProps) {
  const count = statistics[issue].length;
  return (
    <Row name={name}>
      {count === 0 ? (
        '0'
      ) : (
        <button
          type="button"
          aria-label={`List ${numberOf(count)} ${name.toLowerCase()}`}
          onClick={() => onFilter(issue)}
          className="cursor-pointer text-right text-link"
        >
          {numberOf(count)}
        </button>
      )}
    </Row>
  );
}

function Length({ datasetId, file }: { datasetId: string; file: DatasetFile }) {
  return (
    <Link
      href={`/datasets/${datasetId}?file=${encodeURIComponent(file.filename)}`}
      title={`Show ${file.filename}`}
      className="text-link"
    >
      {charactersOf(captionLength(file))}
    </Link>
  );
}

/** Abbreviated, so that it fits beside the name. */
function charactersOf(length: number): string {
  return `${numberOf(length)} char.`;
}
