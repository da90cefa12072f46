import { ChevronRight } from 'lucide-react';
import { memo, useMemo } from 'react';
import { Link } from 'wouter';
import { MAX_LISTED } from '../../src/api/limits.js';
import type { Problem } from '../../src/client/client.js';
import { numberOf } from '../ui/format.js';
import { LongList } from '../ui/long-list.js';
import { Panel } from '../ui/panel.js';
import { groupProblems, type ProblemGroup } from './problem-kinds.js';

interface ProblemsPanelProps {
  readonly title: string;
  readonly datasetId: string;
  readonly problems: readonly Problem[];
  /** Names of the files in the dataset. A problem of any other file is about an upload. */
  readonly filenames: ReadonlySet<string>;
  readonly areErrors: boolean;
}

/** Lists problems by kind, each with a link to its file. */
export const ProblemsPanel = memo(function ProblemsPanel(props: ProblemsPanelProps) {
  const { title, problems } = props;
  const groups = useMemo(() => groupProblems(problems), [problems]);
  if (problems.length === 0) return null;
  return (
    <Panel title={title}>
      {problems.length >= MAX_LISTED && (
        <p className="text-sm text-muted">
          Only the first {numberOf(MAX_LISTED)} are listed. Fix these to see the others.
        </p>
      )}
      <div className="flex flex-col gap-2">
        {groups.map((group) => (
          <Group key={group.code} {...props} group={group} />
        ))}
      </div>
    </Panel>
  );
});

function Group({ group, datasetId, filenames, areErrors }: ProblemsPanelProps & { group: ProblemGroup }) {
  const hasUploads = group.problems.some(({ filename }) => filename !== undefined && !filenames.has(filename));
  const filter = group.filter ?? (areErrors && hasUploads ? 'rejected' : undefined);
  return (
    <details open className="group rounded-lg border border-line">
      <summary className="flex cursor-pointer items-center gap-2 rounded-lg px-3 py-2 font-medium hover:bg-raised">
        <ChevronRight size={16} className="shrink-0 transition-transform group-open:rotate-90" aria-hidden />
        <span className="mr-auto">{group.title}</span>
        <span
          className={`rounded-full px-2 text-sm tabular-nums ${areErrors ? 'bg-bad-soft text-bad' : 'bg-warn-soft text-warn'}`}
        >
          {numberOf(group.problems.length)}
        </span>
      </summary>
      <div className="border-t border-line">
        <LongList label={group.title} items={group.problems}>
          {(problem) => <Row problem={problem} datasetId={datasetId} isInDataset={isInDataset(problem, filenames)} />}
        </LongList>
        {filter !== undefined && group.problems.length > 1 && (
          <p className="border-t border-line px-3 py-2 text-sm">
            <Link href={`/datasets/${datasetId}?filter=${filter}`} className="text-accent underline">
              Show these in Files
            </Link>
          </p>
        )}
      </div>
    </details>
  );
}

function Row({ problem, datasetId, isInDataset }: { problem: Problem; datasetId: string; isInDataset: boolean }) {
  const { filename, message } = problem;
  const query = isInDataset ? `file=${encodeURIComponent(filename ?? '')}` : 'filter=rejected';
  return (
    <div className="flex flex-col items-start gap-x-4 px-3 py-2 text-sm sm:flex-row sm:items-baseline">
      <p className="min-w-0 grow wrap-anywhere">{message}</p>
      {filename !== undefined && (
        <Link
          href={`/datasets/${datasetId}?${query}`}
          aria-label={`Show the file ${filename}`}
          className="shrink-0 text-accent underline"
        >
          Show the file
        </Link>
      )}
    </div>
  );
}

function isInDataset({ filename }: Problem, filenames: ReadonlySet<string>): boolean {
  return filename !== undefined && filenames.has(filename);
}
