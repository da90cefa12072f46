import { Undo2 } from 'lucide-react';
import type { ReactNode } from 'react';
import { useClient } from '../../session/client.js';
import { Button } from '../../ui/button.js';
import { countOf } from '../../ui/format.js';
import { Progress } from '../progress.js';
import type { Applied } from './apply.js';
import { ChangeList } from './change-list.js';
import { cancelJob, dismissJob, type Job, retryJob, undoJob } from './jobs.js';

/** A change to many captions that is under way, or what has become of it. */
export function JobStatus({ datasetId, job }: { datasetId: string; job: Job }) {
  const client = useClient();
  const { title, isUndo, changes, settled, state, applied, fault } = job;
  if (state !== 'ended') {
    return (
      <Framed title={isUndo ? `Undoing: ${title}` : title}>
        <div className="flex flex-wrap items-center gap-4">
          <Progress done={settled} total={changes.length} what={isUndo ? 'captions put back' : 'captions changed'} />
          <Button disabled={state === 'stopping'} onClick={() => cancelJob(datasetId)}>
            {state === 'stopping' ? 'Stopping …' : 'Cancel'}
          </Button>
        </div>
      </Framed>
    );
  }
  const isOpen = fault !== undefined || (applied !== undefined && applied.failed.length + applied.left.length > 0);
  const canUndo = !isUndo && (applied === undefined || applied.made.length > 0);
  return (
    <Framed title={isUndo ? `Undone: ${title}` : title}>
      <p role="status" className="text-sm">
        {fault !== undefined && <span className="text-bad">{fault}</span>}
        {applied !== undefined && outcomeOf(applied, isUndo)}
      </p>
      {applied !== undefined && applied.failed.length > 0 && <ChangeList label="Failed" changes={applied.failed} />}
      {applied !== undefined && applied.skipped.length > 0 && (
        <ChangeList
          label="Skipped"
          changes={applied.skipped.map((change) => ({ change, reason: 'Changed by somebody since; left as it is.' }))}
        />
      )}
      <div className="flex flex-wrap gap-2">
        {isOpen && (
          <Button kind="primary" onClick={() => retryJob(client, datasetId)}>
            {applied !== undefined && applied.left.length > 0 ? 'Go on' : 'Try again'}
          </Button>
        )}
        {canUndo && (
          <Button onClick={() => undoJob(client, datasetId)}>
            <Undo2 size={16} aria-hidden /> Undo
          </Button>
        )}
        <Button kind="quiet" onClick={() => dismissJob(datasetId)}>
          Dismiss
        </Button>
      </div>
    </Framed>
  );
}

function outcomeOf({ made, skipped, failed, left }: Applied, isUndo: boolean): string {
  const parts = [
    `${countOf(made.length, 'caption')} ${isUndo ? 'put back' : 'changed'}`,
    left.length > 0 && `${countOf(left.length, 'caption')} left after the cancel`,
    skipped.length > 0 && `${countOf(skipped.length, 'caption')} skipped`,
    failed.length > 0 && `${countOf(failed.length, 'caption')} failed`,
  ];
  return `${parts.filter(Boolean).join(', ')}.`;
}

function Framed({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section aria-label={title} className="flex flex-col gap-3 rounded-lg border border-line bg-page p-3">
      <h3 className="text-sm font-semibold wrap-anywhere">{title}</h3>
      {children}
    </section>
  );
}
