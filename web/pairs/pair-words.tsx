import type { DatasetFile } from '../../src/client/client.js';
import { CaptionField } from '../captions/editing/caption-field.js';
import { isInCategory, type Pair } from '../live/pairs.js';
import { useMemo } from 'react';
import { CaptionLoopProvider } from '../captions/editing/caption-loop.js';

const STYLE = 'ml-auto shrink-0 rounded-full px-2 py-0.5 text-xs font-medium';

/** A badge for a missing caption, a blank one, or one without media. */
export function CaptionBadge({ pair }: { pair: Pair }) {
  if (isInCategory(pair, 'missing')) return <span className={`${STYLE} bg-bad-soft text-bad`}>No caption</span>;
  if (isInCategory(pair, 'blank')) return <span className={`${STYLE} bg-warn-soft text-warn`}>Blank caption</span>;
  if (isInCategory(pair, 'orphan')) return <span className={`${STYLE} bg-warn-soft text-warn`}>No media</span>;
  return null;
}

/** A badge for a caption in a control or mask dataset. */
export function UnusedCaptionBadge({ pair: { caption } }: { pair: Pair }) {
  if (caption === undefined) return null;
  return (
    <span title={unusedCaptionText(caption)} className={`${STYLE} bg-raised text-muted`}>
      Unused caption
    </span>
  );
}

function unusedCaptionText({ filename }: Pick<DatasetFile, 'filename'>): string {
  return `${filename} is not used: the trainer reads captions of the training dataset only.`;
}

interface PairWordsProps {
  readonly datasetId: string;
  readonly pair: Pair;
  /** Whether the trainer reads captions of this dataset. */
  readonly hasCaptions: boolean;
  /** A class that sets the height of the field. */
  readonly height: string;
  /** By default, the field names its file. */
  readonly label?: string;
  /** Another field of the caption says what became of it. */
  readonly isSecond?: boolean;
}

/** The captions of a pair, to be edited, and its problems. */
export function PairWords({ datasetId, pair, hasCaptions, height, ...field }: PairWordsProps) {
  const { caption, problems } = pair;
  return (
    <>
      {hasCaptions && (
        <div className="flex flex-col gap-1">
          <p className="flex items-center text-sm font-medium">
            Caption <Writer caption={caption} /> <CaptionBadge pair={pair} />
          </p>
          <div className={`rounded-md border border-line ${height}`}>
            <CaptionField key={pair.stem} {...{ datasetId, pair }} {...field} />
          </div>
        </div>
      )}
      {!hasCaptions && caption !== undefined && <p className="text-sm text-muted">{unusedCaptionText(caption)}</p>}
      {hasCaptions && <StructuredCaption key={`${pair.stem} json`} datasetId={datasetId} pair={pair} />}
      {problems.map(({ code, filename, message }) => (
        <p key={`${code} ${filename}`} className="rounded-lg bg-warn-soft p-2 text-sm wrap-anywhere text-warn">
          {message}
        </p>
      ))}
    </>
  );
}

/** Who wrote a caption, if that was a model. */
function Writer({ caption }: Pick<Pair, 'caption'>) {
  const { origin } = caption ?? {};
  if (origin?.by !== 'model') return null;
  const { model, preset } = origin;
  return <span className="ml-2 truncate font-normal text-muted">by {[model, preset].filter(Boolean).join(', ')}</span>;
}

interface StructuredCaptionProps {
  readonly datasetId: string;
  readonly pair: Pair;
}

/** The JSON caption of a pair, edited as text. The service rejects what is not JSON, and says where. Nothing without one. */
function StructuredCaption({ datasetId, pair }: StructuredCaptionProps) {
  const { structured } = pair;
  const own = useMemo(() => ({ ...pair, caption: structured }), [pair, structured]);
  if (structured === undefined) return null;
  return (
    <div className="flex flex-col gap-1">
      <p className="text-sm font-medium wrap-anywhere">Structured caption ({structured.filename})</p>
      <div className="h-40 rounded-md border border-line font-mono">
        {/* The keys that lead from caption to caption are those of the other field. */}
        <CaptionLoopProvider value={undefined}>
          <CaptionField datasetId={datasetId} pair={own} label={`Structured caption ${structured.filename}`} />
        </CaptionLoopProvider>
      </div>
    </div>
  );
}
