import { ChevronDown, ChevronUp, Pause, Play, X } from 'lucide-react';
import { useId, useState } from 'react';
import { Button } from '../../ui/button.js';
import { countOf, durationOf, numberOf, sizeOf } from '../../ui/format.js';
import { uploadQueue, useUploads } from '../queue/page-queue.js';
import type { UploadsSnapshot } from '../queue/uploads-snapshot.js';
import { DockDetails } from './dock-details.js';
import { ProgressBar } from './progress-bar.js';
import { announcementOf, uploadsTitleOf } from './titles.js';

/** On wider screens, the details are open at first. */
const WIDE_SCREEN = '(min-width: 640px)';

/** The bar at the bottom of the page that shows all uploads. */
export function Dock() {
  const uploads = useUploads();
  const [isOpen, setOpen] = useState(() => matchMedia(WIDE_SCREEN).matches);
  const detailsId = useId();
  const isVisible = uploads.state !== 'empty';
  const hasEnded = !uploads.isUnfinished && uploads.state !== 'cancelling';
  return (
    <>
      <p role="status" className="sr-only">
        {announcementOf(uploads)}
      </p>
      {isVisible && (
        <section
          ref={publishHeight}
          aria-label="Uploads"
          className="sticky bottom-0 z-20 flex flex-col gap-2 border-t border-line bg-panel px-4 py-3 shadow-lg"
        >
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <h2 className="font-semibold">{uploadsTitleOf(uploads)}</h2>
            {uploads.failures.length > 0 && (
              <p className="text-sm font-medium text-bad">{numberOf(uploads.failures.length)} failed</p>
            )}
            {uploads.conflicts.length > 0 && (
              <p className="text-sm font-medium text-warn">{countOf(uploads.conflicts.length, 'old file')} kept</p>
            )}
            <p className="mr-auto text-sm text-muted tabular-nums">{progressTextOf(uploads)}</p>
            <div className="flex items-center gap-1">
              {uploads.isUnfinished && uploads.state !== 'signed-out' && <Controls state={uploads.state} />}
              {uploads.state !== 'signed-out' && (
                <Button
                  kind="quiet"
                  aria-label={isOpen ? 'Hide the details of uploads' : 'Show the details of uploads'}
                  aria-expanded={isOpen}
                  aria-controls={detailsId}
                  onClick={() => setOpen(!isOpen)}
                >
                  {isOpen ? <ChevronDown size={18} aria-hidden /> : <ChevronUp size={18} aria-hidden />}
                </Button>
              )}
              {hasEnded && (
                <Button kind="quiet" aria-label="Dismiss uploads" onClick={() => uploadQueue.dismissAll()}>
                  <X size={18} aria-hidden />
                </Button>
              )}
            </div>
          </div>
          {!hasEnded && <ProgressBar label="All uploads" {...uploads.bytes} />}
          <div id={detailsId} className="contents">
            {isOpen && uploads.state !== 'signed-out' && <DockDetails uploads={uploads} />}
          </div>
        </section>
      )}
    </>
  );
}

function Controls({ state }: Pick<UploadsSnapshot, 'state'>) {
  return (
    <>
      {state === 'paused' ? (
        <Button onClick={() => uploadQueue.resume()}>
          <Play size={16} aria-hidden /> Resume
        </Button>
      ) : (
        state !== 'stopped' && (
          <Button onClick={() => uploadQueue.pause()}>
            <Pause size={16} aria-hidden /> Pause
          </Button>
        )
      )}
      <Button onClick={() => uploadQueue.cancel()}>Cancel</Button>
    </>
  );
}

function progressTextOf({ state, bytes, bytesPerSecond, secondsLeft, batches }: UploadsSnapshot): string {
  const hidden = batches.reduce((sum, batch) => sum + batch.hidden, 0);
  return [
    bytes.total > 0 && state !== 'done' && `${sizeOf(bytes.uploaded + bytes.sent)} of ${sizeOf(bytes.total)}`,
    bytesPerSecond !== undefined && `${sizeOf(bytesPerSecond)}/s`,
    secondsLeft !== undefined && `${durationOf(secondsLeft)} left`,
    state === 'done' && hidden > 0 && `${countOf(hidden, 'hidden file')} skipped`,
  ]
    .filter(Boolean)
    .join(' · ');
}

/** Keeps `--dock-height` up to date. Other bars at the bottom of the page are placed above it. */
function publishHeight(frame: HTMLElement): () => void {
  const { style } = document.documentElement;
  const observer = new ResizeObserver(() => style.setProperty('--dock-height', `${frame.offsetHeight}px`));
  observer.observe(frame);
  return () => {
    observer.disconnect();
    style.removeProperty('--dock-height');
  };
}
