import { useEffect, useRef } from 'react';
import { Link, useSearchParams } from 'wouter';
import type { DatasetWithFiles, Revision } from '../../src/client/client.js';
import { RelativeTime } from '../datasets/relative-time.js';
import { GuideLink } from '../guide/guide-panel.js';
import { useCanWrite } from '../session/account.js';
import { Loaded, MoreButton } from '../ui/loaded.js';
import { countOf } from '../ui/format.js';
import { RevisionActions } from './revision-actions.js';
import { Thumbnail } from '../live/thumbnail.js';
import { type ChangedPicture, useRevisionPreview, useSeen } from './revision-preview.js';
import { Marks, revisionHref, RevisionPage } from './revision-page.js';
import { useLiveHistory, useRevisions } from './use-history.js';
import { creatorOf, countsInWords, howOf } from './words.js';

/** The history of a dataset: all kept revisions, or the one that the address names. */
export function HistoryView({ dataset }: { dataset: DatasetWithFiles }) {
  const [parameters] = useSearchParams();
  useLiveHistory(dataset);
  const number = numberIn(parameters, 'revision');
  if (number === undefined) return <Timeline dataset={dataset} />;
  return (
    <RevisionPage
      key={number}
      dataset={dataset}
      number={number}
      from={numberIn(parameters, 'from')}
      showsFiles={parameters.get('show') === 'files'}
    />
  );
}

function numberIn(parameters: URLSearchParams, name: string): number | undefined {
  const text = parameters.get(name) ?? '';
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** The revision that was opened last: its row gets the focus when the user returns. */
let lastOpened: number | undefined;

/** All kept revisions of a dataset, newest first. */
function Timeline({ dataset }: { dataset: DatasetWithFiles }) {
  const query = useRevisions(dataset.id);
  const { data } = query;
  const isRead = data !== undefined;
  useEffect(() => {
    if (!isRead || lastOpened === undefined) return;
    document.getElementById(`revision-${lastOpened}`)?.focus();
    lastOpened = undefined;
  }, [isRead]);
  return (
    <>
      <div>
        <GuideLink place="history">What is kept, and how undo works</GuideLink>
      </div>
      <Loaded of={{ ...query, data: data?.pages.flatMap(({ revisions }) => revisions) }}>
        {(revisions) =>
          revisions.length === 0 ? (
            <p className="py-8 text-muted">
              No files yet. Each upload, edit and deletion is listed here, and you can look at it and restore it.
            </p>
          ) : (
            // biome-ignore lint/a11y/noRedundantRoles: Safari drops the list role from a list without markers
            <ol role="list" aria-label="Revisions" className="rounded-xl border border-line bg-panel">
              {revisions.map((revision, index) => (
                <li key={revision.number} className="border-t border-line px-4 py-3 first:border-t-0">
                  <Row dataset={dataset} revision={revision} previous={revisions[index + 1]} />
                </li>
              ))}
            </ol>
          )
        }
      </Loaded>
      <MoreButton of={query}>Older</MoreButton>
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
          <Thumbnail {...{ datasetId, file, revision }} className="absolute inset-0" />
          <span className="sr-only">{file.filename}</span>
        </li>
      ))}
    </ul>
  );
}
