import { FileLink } from '../../live/file-link.js';
import { useConnect } from '../../session/client.js';
import { Button } from '../../ui/button.js';
import { CaptionProgress } from '../caption-progress.js';
import { ChangeList } from './change-preview.js';
import { type BulkJob, type BulkResult, cancelJob, dismissJob, retryJob, summaryOf } from './jobs.js';
import type { CaptionChange } from './plan.js';

interface JobStatusProps {
  readonly datasetId: string;
  readonly job: BulkJob;
}

/** The progress of a change to many captions, or what it has left undone. */
export function JobStatus({ datasetId, job: { title, changes, done, state, result } }: JobStatusProps) {
  return (
    <section aria-label={title} className="flex flex-col gap-3 rounded-lg border border-line bg-page p-3">
      <h3 className="text-sm font-semibold wrap-anywhere">{title}</h3>
      {result === undefined ? (
        <div className="flex flex-wrap items-center gap-4">
          <CaptionProgress done={done} total={changes.length} what="captions changed" />
          <Button disabled={state === 'stopping'} onClick={() => cancelJob(datasetId)}>
            {state === 'stopping' ? 'Cancelling …' : 'Cancel'}
          </Button>
        </div>
      ) : (
        <Result {...{ datasetId, result }} />
      )}
    </section>
  );
}

function Result({ datasetId, result }: { datasetId: string; result: BulkResult }) {
  const connect = useConnect();
  const { failed, skipped, remaining } = result;
  const outdated = (change: CaptionChange) => ({
    ...change,
    reason: (
      <>
        Not changed: this caption was edited in the meantime.{' '}
        <FileLink datasetId={datasetId} filename={change.filename}>
          Look at it
        </FileLink>
      </>
    ),
  });
  return (
    <>
      <p role="status" className="text-sm">
        {summaryOf(result)}
      </p>
      {failed.length > 0 && <ChangeList label="Failed" changes={failed} />}
      {skipped.length > 0 && <ChangeList label="Skipped" changes={skipped.map(outdated)} />}
      <div className="flex flex-wrap gap-2">
        {failed.length + remaining.length > 0 && (
          <Button kind="primary" onClick={() => retryJob(connect, datasetId)}>
            {remaining.length > 0 ? 'Continue' : 'Try again'}
          </Button>
        )}
        <Button kind="quiet" onClick={() => dismissJob(datasetId)}>
          Dismiss
        </Button>
      </div>
    </>
  );
}
