import { useCaption } from '../../captions/editing/use-caption.js';
import { useKeys } from '../../keys.js';
import type { Pair } from '../../live/pairs.js';
import { WriteButton } from '../../session/write-button.js';
import { countOf, sizeOf } from '../../ui/format.js';
import { Placeholder } from '../media.js';
import { mediaFactsOf } from '../media-facts.js';
import { Full } from './full.js';
import { WholeWindow } from './whole-window.js';
import { pictureSizeOf, useZooming, type Zooming, ZoomButtons, ZoomStage } from './zoom-stage.js';

/** So many pictures are compared at most. */
export const MAX_COMPARED = 4;

const LAYOUTS: Readonly<Record<number, string>> = {
  2: 'grid-rows-2 sm:grid-cols-2 sm:grid-rows-1',
  3: 'grid-rows-3 sm:grid-cols-3 sm:grid-rows-1',
  4: 'grid-cols-2 grid-rows-2',
};

interface PictureComparisonProps {
  readonly datasetId: string;
  /** Two to four. */
  readonly pairs: readonly Pair[];
  readonly hasCaptions: boolean;
  /** Pairs that are being deleted. */
  readonly deleting: ReadonlySet<string>;
  /** Deletes the other pairs. */
  readonly onDelete: (pairs: readonly Pair[]) => void;
  readonly onClose: () => void;
}

/** Two to four pairs beside one another, with zoom and pan in step. A key keeps one of them. */
export function PictureComparison(props: PictureComparisonProps) {
  const { datasetId, pairs, hasCaptions, deleting, onDelete, onClose } = props;
  const zooming = useZooming();
  const keep = (kept: Pair) => onDelete(pairs.filter((pair) => pair !== kept));
  useKeys({
    compareKeep: ({ key }) => {
      const kept = pairs[Number(key) - 1];
      if (kept === undefined) return false;
      keep(kept);
    },
    compareZoom: zooming.toggle,
  });
  return (
    <WholeWindow
      title={`Compare ${countOf(pairs.length, 'picture')}`}
      keyPlace="compare"
      datasetId={datasetId}
      onClose={onClose}
      beside={null}
      tools={<ZoomButtons zooming={zooming} />}
    >
      <ul className={`grid min-h-0 grow gap-px bg-line ${LAYOUTS[pairs.length]}`}>
        {pairs.map((pair, at) => (
          <li
            key={pair.stem}
            className={`flex min-h-0 min-w-0 flex-col bg-raised ${deleting.has(pair.stem) ? 'opacity-40' : ''}`}
          >
            <ComparedPair {...{ datasetId, pair, hasCaptions, zooming }} number={at + 1} onKeep={() => keep(pair)} />
          </li>
        ))}
      </ul>
    </WholeWindow>
  );
}

interface ComparedPairProps extends Pick<PictureComparisonProps, 'datasetId' | 'hasCaptions'> {
  readonly pair: Pair;
  /** The key that keeps it. */
  readonly number: number;
  readonly zooming: Zooming;
  readonly onKeep: () => void;
}

function ComparedPair({ datasetId, pair, hasCaptions, number, zooming, onKeep }: ComparedPairProps) {
  const [file] = pair.media;
  const name = (file ?? pair.files[0])?.filename ?? pair.stem;
  const { text } = useCaption(datasetId, pair);
  return (
    <>
      <div className="min-h-0 grow">
        {file === undefined ? (
          <Placeholder file={undefined} />
        ) : (
          <ZoomStage zooming={zooming} picture={pictureSizeOf(file)} isStill={file.kind === 'video'}>
            <Full key={file.sha256} {...{ datasetId, file }} isCompared />
          </ZoomStage>
        )}
      </div>
      <div className="flex items-center gap-2 border-t border-line bg-panel px-2 py-1 text-sm">
        <div className="min-w-0 grow">
          <p className="truncate font-medium" title={name}>
            {name}
          </p>
          <p className="truncate text-xs text-muted">
            {file !== undefined && `${mediaFactsOf(file)} · ${sizeOf(file.size_bytes)}`}
          </p>
          {hasCaptions && (
            <p className="line-clamp-2 h-8 text-xs max-sm:hidden" title={text}>
              {text === '' ? <span className="text-muted italic">No caption</span> : text}
            </p>
          )}
        </div>
        <WriteButton
          aria-keyshortcuts={String(number)}
          title={`Keep this one, and delete the others (${number})`}
          onClick={onKeep}
          className="shrink-0"
        >
          Keep <kbd className="font-sans text-muted">{number}</kbd>
          <span className="sr-only">{name}, and delete the others</span>
        </WriteButton>
      </div>
    </>
  );
}
