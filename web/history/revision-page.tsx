import { ArrowLeft, FileArchive, Pin } from 'lucide-react';
import { useEffect, useMemo, useRef } from 'react';
import { Link, useLocation } from 'wouter';
import type { DatasetFile, DatasetWithFiles, Revision } from '../../src/client/client.js';
import { useLinks } from '../live/dataset.js';
import { useCanWrite } from '../session/account.js';
import { dateOf, momentOf } from '../ui/ago.js';
import { Loaded, LoadFailure, MoreButton } from '../ui/loaded.js';
import { CopyButton } from '../ui/copy.js';
import { SelectField } from '../ui/fields.js';
import { countOf, sizeOf } from '../ui/format.js';
import { StatusBadge } from '../ui/status-badge.js';
import { RevisionActions } from './revision-actions.js';
import { useRevision, useRevisionDiff, useRevisionFiles, useRevisions } from './use-history.js';
import { countsInWords, creatorOf, howOf } from './words.js';
import { MAX_CAPTION_TEXT_BYTES } from '../../src/api/limits.js';
import { Difference } from '../captions/difference/marked-difference.js';
import { filesByStem } from '../live/counterparts.js';
import { type DifferentFile, type DiffRow, diffRowsOf } from './revision-preview.js';
import { PlainCaption } from '../captions/plain-caption.js';
import { pairsOf } from '../live/pairs.js';
import { LongList } from '../ui/long-list.js';
import { Thumbnail } from '../live/thumbnail.js';

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

/** What differs from another revision, which can be chosen: 0 stands for no files. */
function Changes({ dataset, revision: { number }, previous, from }: ChangesProps) {
  const [, navigate] = useLocation();
  const { data, hasNextPage, fetchNextPage } = useRevisions(dataset.id);
  // Before the first revision there were no files; before another one that is the oldest kept, what there was is not known.
  const before = previous?.number ?? (number === 1 ? 0 : undefined);
  const compared = from ?? before;
  const others = data?.pages.flatMap(({ revisions }) => revisions).filter((other) => other.number !== number) ?? [];
  const isListed = compared === 0 || others.some((other) => other.number === compared);
  const current = compared === undefined ? 'Choose a revision' : `Revision ${compared}`;
  const options = [
    ...(isListed ? [] : [{ value: String(compared ?? ''), label: current }]),
    ...others.map((other) => ({
      value: String(other.number),
      label: `Revision ${other.number} · ${howOf(other)} · ${momentOf(dateOf(other.changed_at))}`,
    })),
    ...(hasNextPage ? [{ value: 'older', label: 'Older …' }] : []),
    { value: '0', label: 'No files' },
  ];
  const compareWith = (next: string) =>
    navigate(revisionHref(dataset.id, number, Number(next) === before ? {} : { from: next }), { replace: true });
  return (
    <>
      <SelectField
        label="Compared with"
        value={String(compared ?? '')}
        options={options}
        onChange={(next) => (next === 'older' ? void fetchNextPage() : compareWith(next))}
      />
      {compared === undefined ? (
        <p className="py-4 text-muted">The revision before is no longer kept. Compare with another one.</p>
      ) : (
        <RevisionDiff key={compared} dataset={dataset} from={compared} to={number} />
      )}
    </>
  );
}

interface RevisionDiffProps {
  readonly dataset: DatasetWithFiles;
  readonly from: number;
  readonly to: number;
}

/** What differs between two revisions: pictures added and removed, and captions with the changed words marked. */
function RevisionDiff({ dataset, from, to }: RevisionDiffProps) {
  const diff = useRevisionDiff(dataset.id, { from, to });
  const { data, error, refetch } = diff;
  const rows = useMemo(() => data && diffRowsOf(data.pages), [data]);
  const pictures = filesByStem(dataset.files);
  const total = data?.pages[0]?.total;
  return (
    <>
      <LoadFailure error={error} onRetry={refetch} />
      <p role="status" className="text-sm text-muted">
        {total !== undefined ? `${countsInWords(total)}.` : error === null && 'Comparing …'}
      </p>
      {rows !== undefined && rows.length > 0 && (
        // biome-ignore lint/a11y/noRedundantRoles: Safari drops the list role from a list without markers
        <ul role="list" aria-label="Differences" className="rounded-xl border border-line bg-panel">
          {rows.map((row) => (
            <li
              key={row.stem}
              className="border-t border-line px-4 py-3 first:border-t-0 [contain-intrinsic-size:auto_7rem] [content-visibility:auto]"
            >
              <Row datasetId={dataset.id} row={row} picture={pictures.get(row.stem)?.[0]} from={from} to={to} />
            </li>
          ))}
        </ul>
      )}
      <MoreButton of={diff}>Show more</MoreButton>
    </>
  );
}

interface RowProps extends Omit<RevisionDiffProps, 'dataset'> {
  readonly datasetId: string;
  readonly row: DiffRow;
  /** The picture that the dataset has now, for a caption whose picture did not change. */
  readonly picture: DatasetFile | undefined;
}

function Row({ datasetId, row: { media, captions }, picture, from, to }: RowProps) {
  return (
    <div className="flex flex-wrap items-start gap-x-4 gap-y-3">
      <div className="flex shrink-0 flex-wrap gap-3">
        {media.map(({ filename, from: before, to: after }) => (
          <div key={filename} className="flex gap-2">
            {before && (
              <PastPicture datasetId={datasetId} file={before} revision={from} mark={after ? 'before' : 'removed'} />
            )}
            {after && (
              <PastPicture datasetId={datasetId} file={after} revision={to} mark={before ? 'after' : 'added'} />
            )}
          </div>
        ))}
        {media.length === 0 && <PastPicture datasetId={datasetId} file={picture} />}
      </div>
      <div className="flex min-w-0 grow basis-60 flex-col gap-2 text-sm">
        {captions.map((caption) => (
          <div key={caption.filename} className="flex flex-col gap-0.5">
            <p className="text-xs wrap-anywhere text-muted">
              {caption.filename} {verbOf(caption)}
            </p>
            <CaptionDifference caption={caption} />
          </div>
        ))}
      </div>
    </div>
  );
}

function verbOf({ from: before, to: after }: DifferentFile): string {
  if (before === undefined) return 'added';
  return after === undefined ? 'removed' : 'changed';
}

function CaptionDifference({ caption }: { caption: DifferentFile }) {
  const { from: before, to: after, from_text: textBefore, to_text: textAfter } = caption;
  const unknown = [textBefore === undefined && before, textAfter === undefined && after].filter((file) => !!file);
  if (unknown.length === 0) return <Difference before={textBefore ?? ''} after={textAfter ?? ''} />;
  const sizes = [before, after].flatMap((file) => (file === undefined ? [] : sizeOf(file.size_bytes)));
  if (unknown.some((file) => file.size_bytes <= MAX_CAPTION_TEXT_BYTES)) {
    return <p className="text-bad">The text can't be compared: it is missing or damaged in the store.</p>;
  }
  return <p className="text-muted">The text is too long to compare here ({sizes.join(', then ')}).</p>;
}

/** All files of a revision: pictures with their captions, to look at. */
function RevisionFiles({ datasetId, revision: { number } }: { datasetId: string; revision: Revision }) {
  const query = useRevisionFiles(datasetId, number);
  const pairs = useMemo(() => query.data && pairsOf({ files: query.data, warnings: [] }), [query.data]);
  return (
    <Loaded of={{ ...query, data: pairs }}>
      {(all) =>
        all.length === 0 ? (
          <p className="py-4 text-muted">This revision has no files.</p>
        ) : (
          <LongList isFramed label={`Files of revision ${number}`} items={all} height="max-h-[75dvh]">
            {({ media, caption }) => (
              <div className="flex h-42 gap-4 px-4 py-2">
                <div className="flex max-w-1/2 shrink-0 gap-2 overflow-hidden">
                  {media.length === 0 && <PastPicture datasetId={datasetId} file={undefined} />}
                  {media.map((file) => (
                    <PastPicture key={file.filename} datasetId={datasetId} file={file} revision={number} />
                  ))}
                </div>
                <div
                  // biome-ignore lint/a11y/noNoninteractiveTabindex: makes a long caption scrollable by keyboard
                  tabIndex={0}
                  className="min-w-0 grow overflow-y-auto text-sm"
                >
                  <PlainCaption {...{ datasetId, caption }} revision={number} className="whitespace-pre-wrap" />
                </div>
              </div>
            )}
          </LongList>
        )
      }
    </Loaded>
  );
}

const MARKS = {
  added: { word: 'Added', border: 'border-good', colour: 'text-good' },
  after: { word: 'Now', border: 'border-good', colour: 'text-good' },
  before: { word: 'Before', border: 'border-bad', colour: 'text-bad' },
  removed: { word: 'Removed', border: 'border-bad', colour: 'text-bad' },
} as const;

const UNMARKED = { word: undefined, border: 'border-line', colour: '' };

interface PastPictureProps {
  readonly datasetId: string;
  /** `undefined` if there is none. */
  readonly file: Pick<DatasetFile, 'filename' | 'sha256' | 'kind' | 'duration_seconds' | 'thumbhash'> | undefined;
  /** The revision that has the file, if the dataset may not have it any more. */
  readonly revision?: number;
  readonly mark?: keyof typeof MARKS;
}

/** A small picture of a file of a revision, with its name. */
function PastPicture({ datasetId, file, revision, mark }: PastPictureProps) {
  const { word, border, colour } = mark === undefined ? UNMARKED : MARKS[mark];
  return (
    <figure className="flex w-28 flex-col gap-1 text-xs">
      <span
        className={`relative flex aspect-square items-center justify-center overflow-hidden rounded-lg border-2 bg-raised text-muted ${border}`}
      >
        <Thumbnail {...{ datasetId, file, revision }} className="absolute inset-0" />
      </span>
      <figcaption className="truncate text-muted" title={file?.filename}>
        {word !== undefined && <strong className={colour}>{word}</strong>} {file?.filename ?? 'No picture'}
      </figcaption>
    </figure>
  );
}
