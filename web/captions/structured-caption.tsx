import { useMemo } from 'react';
import type { Pair } from '../live/pairs.js';
import { CaptionField } from './editing/caption-field.js';
import { CaptionLoopProvider } from './editing/caption-loop.js';

interface StructuredCaptionProps {
  readonly datasetId: string;
  readonly pair: Pair;
}

/** The JSON caption of a pair, edited as text. The service rejects what is not JSON, and says where. Nothing without one. */
export function StructuredCaption({ datasetId, pair }: StructuredCaptionProps) {
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
