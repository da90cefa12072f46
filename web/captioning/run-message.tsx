import { useQuery, useQueryClient } from '@tanstack/react-query';
import { X } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { useRoute } from 'wouter';
import type { CaptionRun } from '../../src/client/client.js';
import { runCountsText } from '../../src/dataset/captioning/outcomes.js';
import { isActive, refetchRuns, useCaptionRuns } from '../live/caption-runs.js';
import { useDataset } from '../live/dataset.js';
import { FileLink } from '../live/file-link.js';
import { ReviewLink } from '../review.js';
import { useRequesting } from '../session/dialog-form.js';
import { useClient } from '../session/client.js';
import { WriteButton } from '../session/write-button.js';
import { recordChange } from '../undo/recent-change.js';
import { Button } from '../ui/button.js';
import { countOf, numberOf } from '../ui/format.js';
import { Alert } from '../ui/loaded.js';
import { MessageCard } from '../ui/message-card.js';
import { ProgressBar } from '../ui/progress-bar.js';

/** The ids of the runs whose message was dismissed. */
const DISMISSED = 'trainyard-dismissed-run';
const BUSY = 'Its server is busy, or loads the model. It is asked again soon.';

/** How far a run of captions of the dataset that is shown has come, or what the last one that is not dismissed leaves to do. */
export function RunMessage() {
  const [, parameters] = useRoute('/datasets/:id/:view?');
  return parameters === null ? null : <OfDataset id={parameters.id} isReviewed={parameters.view === 'proposals'} />;
}

function OfDataset({ id, isReviewed }: { id: string; isReviewed: boolean }) {
  const { data: dataset } = useDataset(id);
  const runs = useCaptionRuns({ id, role: dataset?.role ?? 'mask' });
  const [dismissed, setDismissed] = useState(() => localStorage.getItem(DISMISSED) ?? '');
  useUndo(runs);
  const leavesWork = (each: CaptionRun) => each.counts.proposed > 0 || (each === runs[0] && canGoOn(each));
  const run = runs.find(isActive) ?? runs.find((each) => leavesWork(each) && !dismissed.includes(each.id));
  if (run === undefined || (isReviewed && !isActive(run))) return null;
  const dismiss = () => {
    const ids = `${dismissed} ${run.id}`.trim();
    localStorage.setItem(DISMISSED, ids);
    setDismissed(ids);
  };
  return <Message run={run} onDismiss={dismiss} />;
}

/** Whether files have no answer yet. A later run may have asked about those of an earlier one. */
function canGoOn({ state, counts }: CaptionRun): boolean {
  return counts.failed > 0 || (state === 'stopped' && counts.waiting > 0);
}

/** The captions of a run that has ended in this tab are undone as any other change of many. */
function useUndo(runs: readonly CaptionRun[]): void {
  const active = useRef(new Set<string>());
  useEffect(() => {
    for (const run of runs) {
      const { id, dataset_id: datasetId, revision, model, counts } = run;
      if (isActive(run)) active.current.add(id);
      else if (active.current.delete(id) && revision !== null) {
        const text = `${countOf(counts.applied, 'caption')} by ${model}.`;
        recordChange(datasetId, { text, made: { changeId: id } });
      }
    }
  }, [runs]);
}

function Message({ run, onDismiss }: { run: CaptionRun; onDismiss: () => void }) {
  const client = useClient();
  const queries = useQueryClient();
  const { failure, isBusy, run: request } = useRequesting();
  const { id, dataset_id: datasetId, state, counts, total, reason } = run;
  const act = (verb: 'stop' | 'resume') =>
    void request(async () => {
      await client.captioning[verb](datasetId, id);
      await refetchRuns(queries, datasetId);
    });
  const running = isActive(run);
  const canResume = !running && counts.waiting + counts.failed > 0;
  return (
    <MessageCard label="Captions by a model" leavesAs={undefined} onLeave={() => {}}>
      <div className="flex items-start gap-1">
        <h2 className="min-w-0 grow self-center font-semibold wrap-anywhere">{titleOf(run)}</h2>
        {!running && (
          <Button icon={X} kind="quiet" aria-label="Dismiss the run" onClick={onDismiss} className="-mr-2 px-2" />
        )}
      </div>
      {running && <ProgressBar label="Captions" uploaded={total - counts.waiting} total={total} />}
      <p role="status" className="wrap-anywhere text-muted tabular-nums empty:hidden">
        {running && run.busy_until !== null ? BUSY : runCountsText(counts)}
      </p>
      {reason !== null && <p className="wrap-anywhere text-bad">{reason}</p>}
      {counts.failed > 0 && !running && <Failures run={run} />}
      <Alert>{failure}</Alert>
      <div className="flex flex-wrap items-center gap-2 empty:hidden">
        {state === 'running' && (
          <WriteButton disabled={isBusy} onClick={() => act('stop')}>
            Stop
          </WriteButton>
        )}
        {canResume && (
          <WriteButton disabled={isBusy} onClick={() => act('resume')}>
            {counts.waiting > 0 ? 'Resume' : `Ask again for ${numberOf(counts.failed)}`}
          </WriteButton>
        )}
        {counts.proposed > 0 && (
          <ReviewLink href={`/datasets/${datasetId}/proposals`}>
            Review {countOf(counts.proposed, 'proposal')}
          </ReviewLink>
        )}
      </div>
    </MessageCard>
  );
}

function titleOf({ state, model, counts: { waiting }, total }: CaptionRun): string {
  switch (state) {
    case 'running':
      return `${model} captions ${numberOf(total - waiting)} of ${countOf(total, 'file')}`;
    case 'ending':
      return `The captions by ${model} are being stored`;
    case 'done':
      return `${model} is done`;
    case 'stopped':
      return `${model} was stopped at ${numberOf(total - waiting)} of ${countOf(total, 'file')}`;
  }
}

/** The files without an answer, each with the reason. */
function Failures({ run: { id, dataset_id: datasetId, counts, ended_at } }: { run: CaptionRun }) {
  const client = useClient();
  const [isOpen, setOpen] = useState(false);
  const { data } = useQuery({
    // As many may fail when they are asked again.
    queryKey: ['caption-run', datasetId, id, counts.failed, ended_at],
    queryFn: ({ signal }) => client.captioning.run(datasetId, id, { signal }),
    enabled: isOpen,
  });
  const failed = data?.problems?.filter(({ outcome }) => outcome !== 'cut_off');
  return (
    <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary className="touch cursor-pointer font-medium text-bad">
        {countOf(counts.failed, 'file')} without an answer
      </summary>
      <ul className="mt-1 flex max-h-40 flex-col gap-1 overflow-y-auto">
        {failed?.map(({ filename, message }) => (
          <li key={filename} className="wrap-anywhere">
            <FileLink {...{ datasetId, filename }} />: {message}
          </li>
        ))}
      </ul>
    </details>
  );
}
