import { Pin } from 'lucide-react';
import { useEffect, useRef } from 'react';
import { Link } from 'wouter';
import type { DatasetWithFiles, Revision } from '../../src/client/client.js';
import { RelativeTime } from '../datasets/relative-time.js';
import { GuideLink } from '../guide/guide-panel.js';
import { useCanWrite } from '../session/account.js';
import { Button } from '../ui/button.js';
import { CopyButton } from '../ui/copy.js';
import { countOf, messageOf } from '../ui/format.js';
import { StatusBadge } from '../ui/status-badge.js';
import { RevisionActions } from './revision-actions.js';
import { RevisionPicture } from './past-picture.js';
import { type ChangedPicture, useRevisionPreview, useSeen } from './revision-preview.js';
import { useRevisions } from './use-history.js';
import { creatorOf, countsInWords, howOf } from './words.js';

/** The revision that was opened last: its row gets the focus when the user returns. */
let lastOpened: number | undefined;

/** The address of a revision on the page. */
export function revisionHref(datasetId: string, number: number, parameters: Record<string, string> = {}): string {
  return `/datasets/${datasetId}/history?${new URLSearchParams({ revision: String(number), ...parameters })}`;
}

/** All kept revisions of a dataset, newest first. */
export function Timeline({ dataset }: { dataset: DatasetWithFiles }) {
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useRevisions(dataset.id);
  const revisions = data?.pages.flatMap((page) => page.revisions);
  const isRead = revisions !== undefined;
  useEffect(() => {
    if (!isRead || lastOpened === undefined) return;
    document.getElementById(`revision-${lastOpened}`)?.focus();
    lastOpened = undefined;
  }, [isRead]);
  return (
    <>
      {error !== null && (
        <div role="alert" className="flex flex-wrap items-center gap-3 text-bad">
          {messageOf(error)} <Button onClick={() => void refetch()}>Try again</Button>
        </div>
      )}
      {revisions === undefined && error === null && <p aria-live="polite">Loading …</p>}
      {revisions?.length === 0 && (
        <p className="py-8 text-muted">
          No files yet. Each upload, edit and deletion is listed here, and you can look at it and restore it.
        </p>
      )}
      <div>
        <GuideLink place="history">What is kept, and how undo works</GuideLink>
      </div>
      {revisions !== undefined && revisions.length > 0 && (
        // biome-ignore lint/a11y/noRedundantRoles: Safari drops the list role from a list without markers
        <ol role="list" aria-label="Revisions" className="rounded-xl border border-line bg-panel">
          {revisions.map((revision, index) => (
            <li key={revision.number} className="border-t border-line px-4 py-3 first:border-t-0">
              <Row dataset={dataset} revision={revision} previous={revisions[index + 1]} />
            </li>
          ))}
        </ol>
      )}
      {hasNextPage && (
        <div>
          <Button disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            {isFetchingNextPage ? 'Loading …' : 'Older'}
          </Button>
        </div>
      )}
    </>
  );
}

interface RowProps {
  readonly dataset: DatasetWithFiles;
  readonly revision: Revision;
  /** The kept revision before it, if that is read. */
  readonly previous: Revision | undefined;
}

function Row({ dataset, revision, previous }: RowProps) {
  const { number, changed_at, files, is_latest } = revision;
  const canWrite = useCanWrite();
  const row = useRef<HTMLElement>(null);
  const isSeen = useSeen(row);
  // Before the first revision there were no files.
  const from = previous?.number ?? (number === 1 ? 0 : undefined);
  const preview = useRevisionPreview({ dataset, revision, from, isSeen });
  return (
    <article ref={row} aria-label={`Revision ${number}`} className="flex flex-wrap items-start gap-x-4 gap-y-2">
      <div className="flex min-w-0 grow basis-72 flex-col gap-1">
        <p className="flex flex-wrap items-baseline gap-x-3 text-sm">
          <Link
            id={`revision-${number}`}
            href={revisionHref(dataset.id, number)}
            onClick={() => {
              lastOpened = number;
            }}
            className="text-base font-semibold hover:underline"
          >
            Revision {number}
          </Link>
          <span className="font-medium wrap-anywhere">{preview?.operation ?? howOf(revision)}</span>
          <span>{countsInWords(revision)}</span>
          {is_latest && <span className="rounded-full bg-raised px-2 text-xs font-medium">Now</span>}
        </p>
        <p className="text-sm text-muted wrap-anywhere">
          <RelativeTime time={changed_at} /> · {creatorOf(revision)} · {countOf(files, 'file')}
        </p>
        <Marks revision={revision} />
      </div>
      {preview !== undefined && <Pictures datasetId={dataset.id} pictures={preview.pictures} />}
      {canWrite && <RevisionActions dataset={dataset} revision={revision} only="undo" />}
    </article>
  );
}

/** The first pictures that a revision changed; those that it removed are faint. */
function Pictures({ datasetId, pictures }: { datasetId: string; pictures: readonly ChangedPicture[] }) {
  return (
    <ul aria-label="Changed pictures" className="flex gap-1 empty:hidden">
      {pictures.map(({ file, revision, isRemoved }) => (
        <li
          key={file.filename}
          title={isRemoved ? `${file.filename}, removed` : file.filename}
          className={`relative flex size-14 items-center justify-center overflow-hidden rounded-md bg-raised text-muted ${isRemoved ? 'opacity-40' : ''}`}
        >
          <RevisionPicture datasetId={datasetId} file={file} revision={revision} />
          <span className="sr-only">{file.filename}</span>
        </li>
      ))}
    </ul>
  );
}

/** Whether a revision is READY, with its digest, and whether and why it is pinned. */
export function Marks({ revision: { number, ready, digest, pinned } }: { revision: Revision }) {
  return (
    <div className="flex min-h-9 flex-wrap items-center gap-x-3 text-sm">
      {ready && (
        <span className="flex items-center gap-2" title={digest}>
          <StatusBadge status="READY" />
          <span className="font-mono text-xs text-muted">{digest.slice(0, 12)}…</span>
          <CopyButton text={digest} what={`the digest of revision ${number}`} />
        </span>
      )}
      {!ready && <span className="text-muted">Not fit to train on</span>}
      {pinned !== null && (
        <span className="flex min-w-0 items-center gap-1 wrap-anywhere" title={`Pinned by ${pinned.by}`}>
          <Pin size={14} className="shrink-0" aria-hidden /> Pinned{pinned.note ? `: ${pinned.note}` : ''}
        </span>
      )}
    </div>
  );
}
