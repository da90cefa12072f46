import { useMemo } from 'react';
import { MAX_CAPTION_TEXT_BYTES } from '../../src/api/limits.js';
import type { DatasetFile, DatasetWithFiles } from '../../src/client/client.js';
import { Difference } from '../captions/difference/marked-difference.js';
import { filesByStem } from '../live/counterparts.js';
import { LoadFailure } from '../ui/loaded.js';
import { Button } from '../ui/button.js';
import { sizeOf } from '../ui/format.js';
import { type DifferentFile, type DiffRow, diffRowsOf } from './revision-preview.js';
import { PastPicture } from './past-picture.js';
import { useRevisionDiff } from './use-history.js';
import { countsInWords } from './words.js';

interface RevisionDiffProps {
  readonly dataset: DatasetWithFiles;
  readonly from: number;
  readonly to: number;
}

/** What differs between two revisions: pictures added and removed, and captions with the changed words marked. */
export function RevisionDiff({ dataset, from, to }: RevisionDiffProps) {
  const diff = useRevisionDiff(dataset.id, { from, to });
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = diff;
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
      {hasNextPage && (
        <div>
          <Button disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            {isFetchingNextPage ? 'Loading …' : 'Show more'}
          </Button>
        </div>
      )}
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
        {media.map(({ filename, before, after }) => (
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

function verbOf({ before, after }: DifferentFile): string {
  if (before === undefined) return 'added';
  return after === undefined ? 'removed' : 'changed';
}

function CaptionDifference({ caption: { before, after, textBefore, textAfter } }: { caption: DifferentFile }) {
  const unknown = [textBefore === undefined && before, textAfter === undefined && after].filter((file) => !!file);
  if (unknown.length === 0) return <Difference before={textBefore ?? ''} after={textAfter ?? ''} />;
  const sizes = [before, after].flatMap((file) => (file === undefined ? [] : sizeOf(file.size_bytes)));
  if (unknown.some((file) => file.size_bytes <= MAX_CAPTION_TEXT_BYTES)) {
    return <p className="text-bad">The text can't be compared: it is missing or damaged in the store.</p>;
  }
  return <p className="text-muted">The text is too long to compare here ({sizes.join(', then ')}).</p>;
}
