import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { DownloadSelection } from '../download/download-menu.js';
import { GroupField } from '../groups/group-field.js';
import type { Pair } from '../live/pairs.js';
import { PairWords } from '../pairs/pair-words.js';
import { DownloadLink, FileFacts } from '../pairs/viewer/viewer-side.js';
import { useIsShared } from '../session/client.js';
import { dateOf, momentOf } from '../ui/ago.js';
import { countOf, sizeOf } from '../ui/format.js';

interface InspectorProps {
  readonly datasetId: string;
  /** Whether the trainer reads captions of this dataset. */
  readonly hasCaptions: boolean;
  /** Whether the card of the pair has a field for its caption too. */
  readonly isSecondField: boolean;
  /** The pair that has the focus, or had it last. */
  readonly pair: Pair | undefined;
  readonly selected: readonly Pair[];
  /** What can be done with the selected pairs. */
  readonly verbs: ReactNode;
}

/** One pair in words: caption, problems, facts and when its files came; or what can be done with the selected pairs. */
export function PairInspector(props: InspectorProps) {
  const { datasetId, pair, selected, verbs } = props;
  const files = selected.flatMap((each) => each.files);
  return (
    <>
      {selected.length > 0 && (
        <section aria-label="Selection" className="flex flex-wrap items-center justify-between gap-2">
          <p>
            <span className="font-semibold">{countOf(selected.length, 'pair')}</span>
            <span className="text-muted">
              {' '}
              · {countOf(files.length, 'file')} · {sizeOf(files.reduce((sum, { size_bytes }) => sum + size_bytes, 0))}
            </span>
          </p>
          {verbs}
          <DownloadSelection datasetId={datasetId} files={files} />
          {selected.length > 1 && <GroupField datasetId={datasetId} files={files} />}
        </section>
      )}
      {selected.length < 2 &&
        (pair === undefined ? (
          <p className="text-muted">Choose a picture: its caption, its facts and its problems appear here.</p>
        ) : (
          <PairDetails key={pair.stem} {...props} pair={pair} />
        ))}
    </>
  );
}

function PairDetails({ datasetId, hasCaptions, isSecondField, pair }: InspectorProps & { readonly pair: Pair }) {
  const { media } = pair;
  const files = media.length > 0 ? media : pair.files;
  return (
    <section aria-label="The pair" className="flex flex-col gap-3">
      <PairWords {...{ datasetId, pair, hasCaptions }} height="h-40" label="Caption" isSecond={isSecondField} />
      <GroupField datasetId={datasetId} files={pair.files} />
      {files.map((file) => (
        <div key={file.filename} className="flex flex-col gap-1">
          <div className="flex items-center gap-1">
            <h2 className="mr-auto font-semibold wrap-anywhere">{file.filename}</h2>
            <DownloadLink datasetId={datasetId} file={file} />
          </div>
          <FileFacts file={file} />
        </div>
      ))}
      <PairHistory {...{ datasetId, pair }} />
    </section>
  );
}

/** When each file of a pair came, the latest first. */
function PairHistory({ datasetId, pair: { files } }: { datasetId: string; pair: Pair }) {
  const isShared = useIsShared();
  return (
    <div className="flex flex-col gap-1">
      <div className="flex items-center justify-between">
        <h2 className="font-semibold">History</h2>
        {!isShared && (
          <Link href={`/datasets/${datasetId}/history`} className="text-link">
            All changes
          </Link>
        )}
      </div>
      <ul className="text-muted">
        {files
          .toSorted((a, b) => (a.uploaded_at < b.uploaded_at ? 1 : -1))
          .map(({ filename, uploaded_at, kind }) => (
            <li key={filename} className="wrap-anywhere">
              {momentOf(dateOf(uploaded_at))}: {filename} {kind === 'caption' ? 'saved' : 'added'}
            </li>
          ))}
      </ul>
    </div>
  );
}
