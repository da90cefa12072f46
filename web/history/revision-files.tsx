import { useMemo } from 'react';
import type { Revision } from '../../src/client/client.js';
import { CaptionText } from '../captions/caption-text.js';
import { type Pair, pairsOf } from '../live/pairs.js';
import { Loaded } from '../ui/loaded.js';
import { LongList } from '../ui/long-list.js';
import { PastPicture } from './past-picture.js';
import { useRevisionFiles } from './use-history.js';

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
            {(pair) => <PairRow {...{ datasetId, number, pair }} />}
          </LongList>
        )
      }
    </Loaded>
  );
}

interface PairRowProps {
  readonly datasetId: string;
  readonly number: number;
  readonly pair: Pair;
}

function PairRow({ datasetId, number, pair: { media, caption } }: PairRowProps) {
  return (
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
        <CaptionText datasetId={datasetId} caption={caption} revision={number} className="whitespace-pre-wrap" />
      </div>
    </div>
  );
}
