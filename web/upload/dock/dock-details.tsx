import { RotateCcw, X } from 'lucide-react';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { Button } from '../../ui/button.js';
import { countOf, numberOf, sizeOf } from '../../ui/format.js';
import { LongList } from '../../ui/long-list.js';
import { queuedFileOf } from '../add-files/check-files.js';
import { chooseReplacement } from '../add-files/dropped-files.js';
import { uploadQueue } from '../queue/upload-queue.js';
import type { BatchFile, UploadBatch } from '../queue/upload-batch.js';
import type { UploadsSnapshot } from '../queue/upload-queue.js';
import { ProgressBar } from '../../ui/progress-bar.js';

/** The progress of each dataset, the files in flight, the failed files, and old files that were kept. */
export function DockDetails({ uploads: { batches, inFlight, failures, conflicts } }: { uploads: UploadsSnapshot }) {
  const failed = failures.filter(({ remedy }) => remedy !== 'listed');
  return (
    <section
      // biome-ignore lint/a11y/noNoninteractiveTabindex: scrolled by keyboard too
      tabIndex={0}
      aria-label="Details of uploads"
      className="flex max-h-[min(24rem,45dvh)] flex-col gap-3 overflow-y-auto border-t border-line pt-2"
    >
      <ul aria-label="Datasets" className="flex flex-col gap-1">
        {batches.map((batch) => (
          <li key={batch.key} className="flex flex-wrap items-center gap-x-3">
            <Link href={`/datasets/${batch.dataset.id}`} className="py-1 font-medium break-all underline">
              {batch.dataset.name}
            </Link>
            <BatchState batch={batch} />
          </li>
        ))}
      </ul>
      {inFlight.length > 0 && (
        <ul aria-label="Files in progress" className="flex flex-col gap-1.5">
          {inFlight.map(({ name, sentBytes, totalBytes }) => (
            <li key={name} className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-3">
              <span className="truncate" title={name}>
                {name}
              </span>
              <span className="text-right text-muted tabular-nums">
                {sentBytes >= totalBytes ? 'Sent' : sizeOf(totalBytes)}
              </span>
              <span className="col-span-2">
                <ProgressBar label={name} total={totalBytes} uploaded={0} sent={sentBytes} />
              </span>
            </li>
          ))}
        </ul>
      )}
      {failed.length > 0 && <FailureList failures={failed} />}
      {conflicts.length > 0 && (
        <section className="flex flex-col gap-1">
          <h3 className="font-medium text-warn">{countOf(conflicts.length, 'old file')} kept beside the new</h3>
          <LongList isFramed label="Old files that were kept" items={conflicts}>
            {(conflict) => <FailureRow failure={conflict} />}
          </LongList>
        </section>
      )}
    </section>
  );
}

function BatchState({ batch }: { batch: UploadBatch }) {
  const { phase, files } = batch;
  if (phase.state === 'stopped') {
    return (
      <>
        <span className="text-bad wrap-anywhere">{phase.reason}</span>
        <Button onClick={() => uploadQueue.retryBatch(batch)}>Try again</Button>
      </>
    );
  }
  return (
    <span className="text-muted tabular-nums">
      {phase.state === 'cancelled' ? 'Cancelled, ' : ''}
      {numberOf(files.uploaded)} of {countOf(files.total, 'file')}
    </span>
  );
}

function FailureList({ failures }: { failures: readonly BatchFile[] }) {
  const repeatable = failures.filter(({ remedy }) => remedy === 'retry');
  return (
    <section className="flex flex-col gap-1">
      <div className="flex items-center gap-2">
        <h3 className="mr-auto font-medium text-bad">{countOf(failures.length, 'file')} could not be uploaded</h3>
        {repeatable.length > 1 && (
          <Button icon={RotateCcw} onClick={() => uploadQueue.retry(repeatable)}>
            Retry all
          </Button>
        )}
      </div>
      <LongList isFramed label="Files that could not be uploaded" items={failures}>
        {(failure) => (
          <FailureRow failure={failure}>
            {failure.remedy === 'retry' ? (
              <Button aria-label={`Retry ${failure.file.name}`} onClick={() => uploadQueue.retry([failure])}>
                Retry
              </Button>
            ) : (
              <Button aria-label={`Replace ${failure.file.name}`} onClick={() => replace(failure)}>
                Replace …
              </Button>
            )}
          </FailureRow>
        )}
      </LongList>
    </section>
  );
}

/** Uploads a file that the user chooses in place of the failed one. */
function replace(failure: BatchFile): void {
  const { batch, file } = failure;
  chooseReplacement(file.name, (chosen) => {
    const { etag: _, ...queued } = queuedFileOf(chosen.name, chosen);
    uploadQueue.dismiss(failure);
    uploadQueue.add(batch.dataset, [{ ...queued, ...(file.replaces && { replaces: file.replaces }) }], { hidden: 0 });
  });
}

function FailureRow({ failure, children }: { failure: BatchFile; children?: ReactNode }) {
  const { file, reason } = failure;
  return (
    <div className="flex flex-wrap items-center gap-x-1 px-3 py-1.5">
      <p className="min-w-0 grow basis-0 font-medium break-all">{file.name}</p>
      {children}
      <Button
        kind="quiet"
        aria-label={`Dismiss ${file.name}`}
        onClick={() => uploadQueue.dismiss(failure)}
        icon={X}
        className="px-2"
      />
      <p className="basis-full text-muted wrap-anywhere">{reason}</p>
    </div>
  );
}
