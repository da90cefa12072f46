import { useMemo, useRef } from 'react';
import type { Revision } from '../../src/client/client.js';
import { type Pair, pairsOf } from '../live/pairs.js';
import { useCardGrid } from '../ui/card-grid.js';
import { Answer } from '../ui/answer.js';
import { messageOf } from '../ui/format.js';
import { PastPicture } from './past-picture.js';
import { useRevisionFiles, useRevisionTexts } from './use-history.js';

const ONE_COLUMN = { heightRem: 10.5, gapRem: 0, leastWidthRem: Number.POSITIVE_INFINITY, overscanRows: 4 };

/** The number of pairs that share one request for their captions. */
const PAIRS_PER_REQUEST = 50;

/** All files of a revision: pictures with their captions, to look at. */
export function RevisionFiles({ datasetId, revision: { number } }: { datasetId: string; revision: Revision }) {
  const query = useRevisionFiles(datasetId, number);
  const pairs = useMemo(() => query.data && pairsOf({ files: query.data, warnings: [] }), [query.data]);
  return (
    <Answer of={{ ...query, data: pairs }}>
      {(all) =>
        all.length === 0 ? (
          <p className="py-4 text-muted">This revision has no files.</p>
        ) : (
          <PairList datasetId={datasetId} number={number} pairs={all} />
        )
      }
    </Answer>
  );
}

function PairList({ datasetId, number, pairs }: { datasetId: string; number: number; pairs: readonly Pair[] }) {
  const list = useRef<HTMLUListElement>(null);
  const { cells, height } = useCardGrid(list, { ...ONE_COLUMN, count: pairs.length });
  const batches = useMemo(
    () =>
      Array.from({ length: Math.ceil(pairs.length / PAIRS_PER_REQUEST) }, (_, index) =>
        pairs
          .slice(index * PAIRS_PER_REQUEST, (index + 1) * PAIRS_PER_REQUEST)
          .flatMap(({ caption }) => caption?.filename ?? []),
      ),
    [pairs],
  );
  return (
    <ul
      ref={list}
      // biome-ignore lint/a11y/noRedundantRoles: Safari drops the list role from a list without markers
      role="list"
      aria-label={`Files of revision ${number}`}
      className="relative rounded-xl border border-line bg-panel"
      style={{ height }}
    >
      {cells.map(({ index, style }) => (
        <li
          key={pairs[index]!.stem}
          aria-setsize={pairs.length}
          aria-posinset={index + 1}
          className="absolute inset-x-0 flex gap-4 border-b border-line px-4 py-2"
          style={style}
        >
          <PairRow
            datasetId={datasetId}
            number={number}
            pair={pairs[index]!}
            batch={batches[Math.floor(index / PAIRS_PER_REQUEST)]!}
          />
        </li>
      ))}
    </ul>
  );
}

interface PairRowProps {
  readonly datasetId: string;
  readonly number: number;
  readonly pair: Pair;
  /** The captions that are read together with this pair's. */
  readonly batch: readonly string[];
}

function PairRow({ datasetId, number, pair: { media, caption }, batch }: PairRowProps) {
  const { data: texts, error } = useRevisionTexts(datasetId, number, batch);
  const text = caption && texts?.get(caption.filename);
  return (
    <>
      <div className="flex max-w-1/2 shrink-0 gap-2 overflow-hidden">
        {media.length === 0 && <PastPicture datasetId={datasetId} file={undefined} />}
        {media.map((file) => (
          <PastPicture key={file.filename} datasetId={datasetId} file={file} revision={number} />
        ))}
      </div>
      <p
        // biome-ignore lint/a11y/noNoninteractiveTabindex: makes a long caption scrollable by keyboard
        tabIndex={0}
        className="min-w-0 grow overflow-y-auto text-sm whitespace-pre-wrap wrap-anywhere"
      >
        {caption === undefined ? (
          <em className="text-muted">No caption</em>
        ) : error !== null ? (
          <span className="text-bad">Could not read the caption. {messageOf(error)}</span>
        ) : text === null ? (
          <em className="text-muted">This caption is too long to show here.</em>
        ) : (
          text
        )}
      </p>
    </>
  );
}
