import { useMemo } from 'react';
import type { Revision } from '../../src/client/client.js';
import { type Pair, pairsOf } from '../live/pairs.js';
import { Loaded } from '../ui/loaded.js';
import { messageOf } from '../ui/format.js';
import { LongList } from '../ui/long-list.js';
import { PastPicture } from './past-picture.js';
import { useRevisionFiles, useRevisionTexts } from './use-history.js';

/** The number of pairs that share one request for their captions. */
const PAIRS_PER_REQUEST = 50;

/** All files of a revision: pictures with their captions, to look at. */
export function RevisionFiles({ datasetId, revision: { number } }: { datasetId: string; revision: Revision }) {
  const query = useRevisionFiles(datasetId, number);
  const pairs = useMemo(() => query.data && pairsOf({ files: query.data, warnings: [] }), [query.data]);
  return (
    <Loaded of={{ ...query, data: pairs }}>
      {(all) =>
        all.length === 0 ? (
          <p className="py-4 text-muted">This revision has no files.</p>
        ) : (
          <LongList isFramed label={`Files of revision ${number}`} items={all} height="max-h-[75dvh]">
            {(pair) => <PairRow {...{ datasetId, number, pair }} batch={batchOf(pair, all)} />}
          </LongList>
        )
      }
    </Loaded>
  );
}

/** The names of the captions that are read together with the pair's. */
function batchOf(pair: Pair, pairs: readonly Pair[]): string[] {
  const start = Math.floor(pairs.indexOf(pair) / PAIRS_PER_REQUEST) * PAIRS_PER_REQUEST;
  return pairs.slice(start, start + PAIRS_PER_REQUEST).flatMap(({ caption }) => caption?.filename ?? []);
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
    <div className="flex h-42 gap-4 px-4 py-2">
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
    </div>
  );
}
