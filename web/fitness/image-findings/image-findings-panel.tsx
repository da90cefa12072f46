import { Eye } from 'lucide-react';
import { memo, useMemo } from 'react';
import type { DatasetWithFiles } from '../../../src/client/client.js';
import { Button } from '../../ui/button.js';
import { countOf, numberOf } from '../../ui/format.js';
import { Panel } from '../../ui/panel.js';
import { BrightnessFindings, SharpnessFindings } from './light-findings.js';
import { TinyImages } from './tiny-images.js';
import { type ImageAnalyses, useImageAnalysis } from './use-image-analysis.js';

/** Images that are dark, bright, blurred or tiny. The browser analyzes the pixels. */
export const ImageFindingsPanel = memo(function ImageFindingsPanel({ dataset }: { dataset: DatasetWithFiles }) {
  const { id, files } = dataset;
  const images = useMemo(() => files.filter(({ kind }) => kind === 'image'), [files]);
  const analyses = useImageAnalysis(dataset, images);
  if (images.length === 0) return null;
  const { analyzed } = analyses;
  return (
    <Panel title="Image analysis" aside={<StartOrCancel analyses={analyses} />}>
      <Progress analyses={analyses} />
      <div className="flex flex-col gap-2">
        <TinyImages dataset={dataset} images={images} />
        {analyzed.length > 0 && (
          <>
            <BrightnessFindings datasetId={id} analyzed={analyzed} />
            <SharpnessFindings datasetId={id} analyzed={analyzed} />
          </>
        )}
      </div>
    </Panel>
  );
});

function StartOrCancel({ analyses: { progress, remaining, analyzed, start, cancel } }: { analyses: ImageAnalyses }) {
  if (progress.state === 'running') return <Button onClick={cancel}>Cancel</Button>;
  if (start === undefined) return null;
  return (
    <Button kind="primary" onClick={start}>
      <Eye size={16} aria-hidden /> Analyze {countOf(remaining, analyzed.length > 0 ? 'more image' : 'image')}
    </Button>
  );
}

function Progress({ analyses: { progress, remaining, withoutThumbnail, analyzed } }: { analyses: ImageAnalyses }) {
  const { state, done, total, failed } = progress;
  if (state === 'running') {
    return (
      <div className="flex flex-col gap-1.5 text-sm text-muted">
        <progress
          value={done}
          max={total}
          aria-label="Images analyzed"
          className="h-2 w-full appearance-none overflow-hidden rounded-full bg-raised [&::-moz-progress-bar]:bg-accent [&::-webkit-progress-bar]:bg-raised [&::-webkit-progress-value]:bg-accent"
        />
        {numberOf(done)} of {countOf(total, 'image')} analyzed in this browser
      </div>
    );
  }
  return (
    <p role="status" className="max-w-prose text-sm text-muted">
      {analyzed.length === 0 && remaining > 0 && 'Find dark, bright and blurred images. '}
      {analyzed.length > 0 && `${countOf(analyzed.length, 'image')} analyzed, from thumbnails of 320 pixels. `}
      {state === 'cancelled' && `Cancelled; ${numberOf(remaining)} not analyzed. `}
      {failed > 0 && state === 'idle' && `${countOf(failed, 'thumbnail')} could not be fetched; analyze again. `}
      {withoutThumbnail > 0 && `${countOf(withoutThumbnail, 'image')} without a thumbnail can't be analyzed.`}
    </p>
  );
}
