import { Undo2 } from 'lucide-react';
import type { ReactNode } from 'react';
import { useClient } from '../../session/client.js';
import { Button } from '../../ui/button.js';
import { countOf } from '../../ui/format.js';
import { CaptionProgress } from '../caption-progress.js';
import type { BulkResult } from './apply.js';
import { ChangeList } from './change-list.js';
import { cancelJob, dismissJob, type BulkJob, retryJob, undoJob } from './jobs.js';

/** The progress of a change to many captions, or its result. */
export function JobStatus({ datasetId, job }: { datasetId: string; job: BulkJob }) {
  const client = useClient();
  const { title, isUndo, changes, done, state, result, error } = job;
  if (state !== 'ended') {
    return (
      <Framed title={isUndo ? `Undoing: ${title}` : title}>
        <div className="flex flex-wrap items-center gap-4">
          <CaptionProgress
            done={done}
            total={changes.length}
            what={isUndo ? 'captions restored' : 'captions changed'}
          />
          <Button disabled={state === 'stopping'} onClick={() => cancelJob(datasetId)}>
            {state === 'stopping' ? 'Cancelling …' : 'Cancel'}
          </Button>
        </div>
      </Framed>
    );
  }
  const isOpen = error !== undefined || (result !== undefined && result.failed.length + result.remaining.length > 0);
  const canUndo = !isUndo && (result === undefined || result.changed.length > 0);
  return (
    <Framed title={isUndo ? `Undone: ${title}` : title}>
      <p role="status" className="text-sm">
        {error !== undefined && <span className="text-bad">{error}</span>}
        {result !== undefined && summaryOf(result, isUndo)}
      </p>
      {result !== undefined && result.failed.length > 0 && <ChangeList label="Failed" changes={result.failed} />}
      {result !== undefined && result.skipped.length > 0 && (
        <ChangeList
          label="Skipped"
          changes={result.skipped.map((change) => ({
            change,
            reason: 'Not changed: this caption was edited in the meantime.',
          }))}
        />
      )}
      <div className="flex flex-wrap gap-2">
        {isOpen && (
          <Button kind="primary" onClick={() => retryJob(client, datasetId)}>
            {result !== undefined && result.remaining.length > 0 ? 'Continue' : 'Try again'}
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

function summaryOf({ changed, skipped, failed, remaining }: BulkResult, isUndo: boolean): string {
  const parts = [
    `${countOf(changed.length, 'caption')} ${isUndo ? 'restored' : 'changed'}`,
    remaining.length > 0 && `${countOf(remaining.length, 'caption')} not changed because you cancelled`,
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
