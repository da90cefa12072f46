import { ChevronDown, ChevronUp, Pause, Play, RotateCcw, X } from 'lucide-react';
import { type ReactNode, useId, useState } from 'react';
import { Link } from 'wouter';
import { groupedBy } from '../../src/dataset/grouped-by.js';
import { Button } from '../ui/button.js';
import { countOf, durationOf, numberOf, sizeOf } from '../ui/format.js';
import { LongList } from '../ui/long-list.js';
import { MessageCard } from '../ui/message-card.js';
import { ProgressBar } from '../ui/progress-bar.js';
import { queuedFileOf } from './add-files/check-files.js';
import { chooseReplacement } from './add-files/dropped-files.js';
import type { BatchFile, UploadBatch } from './queue/upload-batch.js';
import { uploadQueue, type UploadsSnapshot, useUploads } from './queue/upload-queue.js';

/** The card in the lower right corner that shows all uploads. Its details open by a click alone. */
export function Dock() {
  const uploads = useUploads();
  return (
    <>
      <p role="status" className="sr-only">
        {announcementOf(uploads)}
      </p>
      {uploads.state !== 'empty' && <UploadCard uploads={uploads} />}
    </>
  );
}

function UploadCard({ uploads }: { uploads: UploadsSnapshot }) {
  const [isOpen, setOpen] = useState(false);
  const detailsId = useId();
  const { state, isUnfinished, failures, conflicts } = uploads;
  const hasEnded = !isUnfinished && state !== 'cancelling';
  const isMessage = state === 'done' && failures.length + conflicts.length === 0;
  return (
    <MessageCard
      ref={publishHeight}
      label="Uploads"
      leavesAs={isMessage && !isOpen ? uploadsTitleOf(uploads) : undefined}
      onLeave={() => uploadQueue.dismissAll()}
      className="fixed right-4 bottom-4 z-20"
    >
      <div className="flex items-start gap-1">
        <h2 className="min-w-0 grow self-center font-semibold wrap-anywhere">{uploadsTitleOf(uploads)}</h2>
        {state !== 'signed-out' && (
          <Button
            kind="quiet"
            aria-label={isOpen ? 'Hide the details of uploads' : 'Show the details of uploads'}
            aria-expanded={isOpen}
            aria-controls={detailsId}
            onClick={() => setOpen(!isOpen)}
            icon={isOpen ? ChevronDown : ChevronUp}
            className="px-2"
          />
        )}
        {hasEnded && (
          <Button
            kind="quiet"
            aria-label="Dismiss uploads"
            onClick={() => uploadQueue.dismissAll()}
            icon={X}
            className="-mr-2 px-2"
          />
        )}
      </div>
      {!hasEnded && <ProgressBar label="All uploads" {...uploads.bytes} />}
      <p className="text-muted tabular-nums empty:hidden">{progressTextOf(uploads)}</p>
      <Outcome uploads={uploads} />
      {isUnfinished && state !== 'signed-out' && <Controls state={state} />}
      <div id={detailsId} className="contents">
        {isOpen && state !== 'signed-out' && <DockDetails uploads={uploads} />}
      </div>
    </MessageCard>
  );
}

/** What needs a look: uploads that a dataset rejected, which it lists with the reasons, and those that only the card knows. */
function Outcome({ uploads: { failures, conflicts } }: { uploads: UploadsSnapshot }) {
  const failed = failures.filter(({ remedy }) => remedy !== 'listed').length;
  const rejected = failures.filter(({ remedy }) => remedy === 'listed');
  return (
    <>
      {[...groupedBy(rejected, ({ batch }) => batch.dataset.id)].map(([id, group]) => (
        <p key={id} className="wrap-anywhere">
          <span className="font-medium text-bad">{numberOf(group.length)} rejected:</span>{' '}
          <Link href={`/datasets/${id}/fitness`} className="text-link">
            see why in {group[0]!.batch.dataset.name}
          </Link>
        </p>
      ))}
      {failed > 0 && <p className="font-medium text-bad">{numberOf(failed)} failed</p>}
      {conflicts.length > 0 && <p className="font-medium text-warn">{countOf(conflicts.length, 'old file')} kept</p>}
    </>
  );
}

function Controls({ state }: Pick<UploadsSnapshot, 'state'>) {
  return (
    <div className="flex gap-2">
      {state === 'paused' ? (
        <Button icon={Play} onClick={() => uploadQueue.resume()}>
          Resume
        </Button>
      ) : (
        state !== 'stopped' && (
          <Button icon={Pause} onClick={() => uploadQueue.pause()}>
            Pause
          </Button>
        )
      )}
      <Button onClick={() => uploadQueue.cancel()}>Cancel</Button>
    </div>
  );
}

function progressTextOf({ state, bytes, bytesPerSecond, secondsLeft, batches }: UploadsSnapshot): string {
  const hidden = batches.reduce((sum, { options }) => sum + options.hidden, 0);
  return [
    bytes.total > 0 && state !== 'done' && `${sizeOf(bytes.uploaded + bytes.sent)} of ${sizeOf(bytes.total)}`,
    bytesPerSecond !== undefined && `${sizeOf(bytesPerSecond)}/s`,
    secondsLeft !== undefined && `${durationOf(secondsLeft)} left`,
    state === 'done' && hidden > 0 && `${countOf(hidden, 'hidden file')} skipped`,
  ]
    .filter(Boolean)
    .join(' · ');
}

/** The progress of each dataset, the files in flight, the failed files, and old files that were kept. */
function DockDetails({ uploads: { batches, inFlight, failures, conflicts } }: { uploads: UploadsSnapshot }) {
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

/** Keeps `--dock-height` up to date, the distance between the card and the bottom included. Other messages are placed above it. */
function publishHeight(card: HTMLElement | null): (() => void) | undefined {
  if (card === null) return undefined;
  const { style } = document.documentElement;
  const observer = new ResizeObserver(() =>
    style.setProperty('--dock-height', `${innerHeight - card.getBoundingClientRect().top}px`),
  );
  observer.observe(card);
  return () => {
    observer.disconnect();
    style.removeProperty('--dock-height');
  };
}

/** The title of the dock, before the number of files. */
const TITLES = {
  checking: 'Comparing with the dataset',
  sending: 'Uploading',
  replacing: 'Checking what was sent',
  waiting: 'Waiting for the network',
  paused: 'Paused',
  'signed-out': 'Sign in to continue your uploads',
  stopped: 'Stopped',
} as const;

/** What a screen reader says while the numbers of the title change. */
const ANNOUNCEMENTS: Partial<Record<UploadsSnapshot['state'], string>> = {
  empty: '',
  checking: 'Uploading.',
  sending: 'Uploading.',
  replacing: 'Uploading.',
  waiting: 'Uploads are waiting for the network.',
  paused: 'Uploads are paused.',
  cancelling: 'Uploads are being cancelled.',
};

/** The title of the dock: the state of all uploads in a few words. */
function uploadsTitleOf({ state, files, failures, batches }: UploadsSnapshot): string {
  const progress = `${numberOf(files.uploaded)} of ${countOf(files.total, 'file')}`;
  if (state === 'empty') return '';
  if (state === 'cancelling') {
    return `Cancelling, ${countOf(files.total - files.uploaded - failures.length, 'pending upload')} to withdraw`;
  }
  if (state !== 'done') return `${TITLES[state]}, ${progress}`;
  const isCancelled = batches.some(({ phase }) => phase.state === 'cancelled');
  const outcome = failures.length > 0 ? `${progress} uploaded` : `${countOf(files.uploaded, 'file')} uploaded`;
  return isCancelled ? `Cancelled, ${outcome}` : outcome;
}

/** The text for screen readers: changes of the state, without the numbers, which change all the time. */
function announcementOf(uploads: UploadsSnapshot): string {
  const { state, failures, conflicts } = uploads;
  return [
    ANNOUNCEMENTS[state] ?? uploadsTitleOf(uploads),
    failures.length > 0 && 'Some files could not be uploaded.',
    conflicts.length > 0 && 'Some old files were kept.',
  ]
    .filter(Boolean)
    .join(' ');
}
