import { memo, type ReactNode } from 'react';
import { Link } from 'wouter';
import type { DatasetFile } from '../../src/client/client.js';
import { numberOf } from '../ui/format.js';
import { Panel } from '../ui/panel.js';
import { type CaptionStatistics, captionLength } from './caption-statistics.js';
import type { CaptionFilter, CaptionIssue } from './caption-filter.js';

interface StatisticsPanelProps {
  readonly datasetId: string;
  readonly statistics: CaptionStatistics;
  readonly onFilter: (choice: CaptionFilter) => void;
}

/** The captions of a dataset in numbers, each with the way to what it counts. */
export const StatisticsPanel = memo(function FactsPanel({
  datasetId,
  statistics: facts,
  onFilter: onChoose,
}: StatisticsPanelProps) {
  const { captions, shortest, longest, medianLength } = facts;
  return (
    <Panel title="In numbers">
      <dl className="grid grid-cols-[1fr_auto] gap-x-4 gap-y-1 text-sm">
        <Fact name="Captions">{numberOf(captions)}</Fact>
        <Counted name="Missing" only="missing" statistics={facts} onFilter={onChoose} />
        <Counted name="Blank" only="blank" statistics={facts} onFilter={onChoose} />
        <Counted name="The same as another" only="duplicates" statistics={facts} onFilter={onChoose} />
        {shortest !== undefined && longest !== undefined && medianLength !== undefined && (
          <>
            <Fact name="Shortest">
              <Length datasetId={datasetId} file={shortest} />
            </Fact>
            <Fact name="Half are shorter than">{charactersOf(medianLength)}</Fact>
            <Fact name="Longest">
              <Length datasetId={datasetId} file={longest} />
            </Fact>
          </>
        )}
      </dl>
    </Panel>
  );
});

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-muted">{name}</dt>
      <dd className="text-right tabular-nums">{children}</dd>
    </>
  );
}

interface CountedProps extends Pick<StatisticsPanelProps, 'statistics' | 'onFilter'> {
  readonly name: string;
  readonly only: CaptionIssue;
}

function Counted({ name, only, statistics: facts, onFilter: onChoose }: CountedProps) {
  const count = facts[only].length;
  return (
    <Fact name={name}>
      {count === 0 ? (
        '0'
      ) : (
        <button
          type="button"
          aria-label={`${numberOf(count)}, list them: ${name.toLowerCase()}`}
          onClick={() => onChoose({ kind: 'only', only })}
          className="cursor-pointer text-accent underline"
        >
          {numberOf(count)}
        </button>
      )}
    </Fact>
  );
}

function Length({ datasetId, file }: { datasetId: string; file: DatasetFile }) {
  return (
    <Link
      href={`/datasets/${datasetId}?file=${encodeURIComponent(file.filename)}`}
      title={`Show ${file.filename}`}
      className="text-accent underline"
    >
      {charactersOf(captionLength(file))}
    </Link>
  );
}

/** Without a plural, which would need the room of a line. */
function charactersOf(length: number): string {
  return `${numberOf(length)} char.`;
}
