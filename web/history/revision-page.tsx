import { ArrowLeft, FileArchive, Pin } from 'lucide-react';
import { useEffect, useRef } from 'react';
import { Link, useLocation } from 'wouter';
import type { DatasetWithFiles, Revision } from '../../src/client/client.js';
import { useLinks } from '../live/dataset.js';
import { useCanWrite } from '../session/account.js';
import { dateOf, momentOf } from '../ui/ago.js';
import { Loaded } from '../ui/loaded.js';
import { CopyButton } from '../ui/copy.js';
import { SelectField } from '../ui/fields.js';
import { countOf, sizeOf } from '../ui/format.js';
import { StatusBadge } from '../ui/status-badge.js';
import { RevisionDiff } from './revision-diff.js';
import { RevisionFiles } from './revision-files.js';
import { RevisionActions } from './revision-actions.js';
import { useRevision, useRevisions } from './use-history.js';
import { creatorOf, countsInWords, howOf } from './words.js';

/** The address of a revision on the page. */
export function revisionHref(datasetId: string, number: number, parameters: Record<string, string> = {}): string {
  return `/datasets/${datasetId}/history?${new URLSearchParams({ revision: String(number), ...parameters })}`;
}

interface RevisionPageProps {
  readonly dataset: DatasetWithFiles;
  readonly number: number;
  /** The revision that it is compared with, if not with the one before. */
  readonly from: number | undefined;
  /** Whether it shows all files instead of the differences. */
  readonly showsFiles: boolean;
}

/** One revision: what changed in it, or all its files. */
export function RevisionPage({ dataset, number, from, showsFiles }: RevisionPageProps) {
  return (
    <>
      <Link href={`/datasets/${dataset.id}/history`} className="flex items-center gap-2 self-start text-sm text-link">
        <ArrowLeft size={16} aria-hidden /> All revisions
      </Link>
      <Loaded of={useRevision(dataset.id, number)}>
        {({ revision, previous }) =>
          revision === undefined ? (
            <p role="alert">The history has no revision {number}. It may have been too old to be kept.</p>
          ) : (
            <>
              <Header dataset={dataset} revision={revision} />
              <Tabs datasetId={dataset.id} number={number} from={from} showsFiles={showsFiles} />
              {showsFiles ? (
                <RevisionFiles datasetId={dataset.id} revision={revision} />
              ) : (
                <Changes {...{ dataset, revision, previous, from }} />
              )}
            </>
          )
        }
      </Loaded>
    </>
  );
}

function Header({ dataset, revision }: { dataset: DatasetWithFiles; revision: Revision }) {
  const { number, changed_at, files, bytes, is_latest } = revision;
  const canWrite = useCanWrite();
  const links = useLinks(dataset.id);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    window.scrollTo(0, 0);
    heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <section aria-label={`Revision ${number}`} className="flex flex-col gap-1">
      <div className="flex flex-wrap items-center gap-3">
        <h2 ref={heading} tabIndex={-1} className="text-lg font-semibold outline-none">
          Revision {number}
        </h2>
        <span>{howOf(revision)}</span>
        <span>{countsInWords(revision)}</span>
        {is_latest && <span className="rounded-full bg-raised px-2 text-xs font-medium">Now</span>}
        <div className="ml-auto flex flex-wrap gap-2">
          {links !== undefined && files > 0 && (
            <a
              href={links.zip({ revision: number })}
              download
              title="Download the files of this revision as a zip archive"
              className="inline-flex min-h-9 touch items-center gap-2 rounded-lg border border-line bg-panel px-3 py-1.5 text-sm font-medium hover:bg-raised"
            >
              <FileArchive size={16} aria-hidden /> Download
            </a>
          )}
          {canWrite && <RevisionActions dataset={dataset} revision={revision} />}
        </div>
      </div>
      <p className="text-sm text-muted wrap-anywhere">
        {momentOf(dateOf(changed_at))} · {creatorOf(revision)} · {countOf(files, 'file')} · {sizeOf(bytes)}
      </p>
      <Marks revision={revision} />
    </section>
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

function Tabs({ datasetId, number, from, showsFiles }: Omit<RevisionPageProps, 'dataset'> & { datasetId: string }) {
  const tabs = [
    { label: 'Changes', isCurrent: !showsFiles, parameters: from === undefined ? {} : { from: String(from) } },
    { label: 'All its files', isCurrent: showsFiles, parameters: { show: 'files' } },
  ];
  return (
    <nav aria-label="Views of the revision" className="flex gap-2">
      {tabs.map(({ label, isCurrent, parameters }) => (
        <Link
          key={label}
          href={revisionHref(datasetId, number, parameters)}
          replace
          aria-current={isCurrent ? 'page' : undefined}
          className="inline-flex min-h-9 touch items-center rounded-full border border-line px-3 text-sm hover:bg-raised aria-[current=page]:border-accent aria-[current=page]:bg-accent aria-[current=page]:text-on-accent"
        >
          {label}
        </Link>
      ))}
    </nav>
  );
}

interface ChangesProps {
  readonly dataset: DatasetWithFiles;
  readonly revision: Revision;
  /** The kept revision before it. */
  readonly previous: Revision | undefined;
  readonly from: number | undefined;
}

function Changes({ dataset, revision: { number }, previous, from }: ChangesProps) {
  const [, navigate] = useLocation();
  // Before the first revision there were no files; before another one that is the oldest kept, what there was is not known.
  const before = previous?.number ?? (number === 1 ? 0 : undefined);
  const compared = from ?? before;
  return (
    <>
      <CompareWith
        datasetId={dataset.id}
        number={number}
        value={compared}
        onChange={(next) =>
          navigate(revisionHref(dataset.id, number, next === before ? {} : { from: String(next) }), { replace: true })
        }
      />
      {compared === undefined ? (
        <p className="py-4 text-muted">The revision before is no longer kept. Compare with another one.</p>
      ) : (
        <RevisionDiff key={compared} dataset={dataset} from={compared} to={number} />
      )}
    </>
  );
}

interface CompareWithProps {
  readonly datasetId: string;
  readonly number: number;
  /** The revision that it is compared with; 0 for no files. */
  readonly value: number | undefined;
  readonly onChange: (from: number) => void;
}

/** Chooses the revision that another one is compared with. */
function CompareWith({ datasetId, number, value, onChange }: CompareWithProps) {
  const { data, hasNextPage, fetchNextPage } = useRevisions(datasetId);
  const others = data?.pages.flatMap(({ revisions }) => revisions).filter((other) => other.number !== number) ?? [];
  const isListed = value === 0 || others.some((other) => other.number === value);
  const options = [
    ...(value === undefined ? [{ value: '', label: 'Choose a revision' }] : []),
    ...(value !== undefined && !isListed ? [{ value: String(value), label: `Revision ${value}` }] : []),
    ...others.map((other) => ({
      value: String(other.number),
      label: `Revision ${other.number} · ${howOf(other)} · ${momentOf(dateOf(other.changed_at))}`,
    })),
    ...(hasNextPage ? [{ value: 'older', label: 'Older …' }] : []),
    { value: '0', label: 'No files' },
  ];
  return (
    <SelectField
      label="Compared with"
      value={value === undefined ? '' : String(value)}
      options={options}
      onChange={(next) => (next === 'older' ? void fetchNextPage() : onChange(Number(next)))}
    />
  );
}
