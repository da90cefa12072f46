import { Eye } from 'lucide-react';
import { memo, useMemo } from 'react';
import type { DatasetWithFiles } from '../../../src/client/client.js';
import { Button } from '../../ui/button.js';
import { countOf, numberOf } from '../../ui/format.js';
import { Panel } from '../../ui/panel.js';
import { ExactDuplicates, NearDuplicates, TinyImages } from './findings.js';
import { BrightnessFindings, SharpnessFindings } from './light-findings.js';
import { type Looks, useLooks } from './use-image-analysis.js';

/** What a person would find who looked at every image: doubles, and dark, bright, blurred and tiny ones. */
export const LooksPanel = memo(function LooksPanel({ dataset }: { dataset: DatasetWithFiles }) {
  const { id, files } = dataset;
  const images = useMemo(() => files.filter(({ kind }) => kind === 'image'), [files]);
  const looks = useLooks(dataset, images);
  if (images.length === 0) return null;
  const { seen } = looks;
  return (
    <Panel title="A look at the pixels" aside={<Looking looks={looks} />}>
      <Progress looks={looks} />
      <div className="flex flex-col gap-2">
        <ExactDuplicates datasetId={id} images={images} />
        <TinyImages datasetId={id} images={images} />
        {seen.length > 0 && (
          <>
            <NearDuplicates datasetId={id} seen={seen} />
            <BrightnessFindings datasetId={id} seen={seen} />
            <SharpnessFindings datasetId={id} seen={seen} />
          </>
        )}
      </div>
    </Panel>
  );
});

function Looking({ looks: { progress, unseen, seen, start, cancel } }: { looks: Looks }) {
  if (progress.state === 'looking') return <Button onClick={cancel}>Cancel</Button>;
  if (start === undefined) return null;
  return (
    <Button kind="primary" onClick={start}>
      <Eye size={16} aria-hidden /> Look at {countOf(unseen, seen.length > 0 ? 'more image' : 'image')}
    </Button>
  );
}

function Progress({ looks: { progress, unseen, unseeable, seen } }: { looks: Looks }) {
  const { state, done, total, failed } = progress;
  if (state === 'looking') {
    return (
      <div className="flex flex-col gap-1.5 text-sm text-muted">
        <progress
          value={done}
          max={total}
          aria-label="Images looked at"
          className="h-2 w-full appearance-none overflow-hidden rounded-full bg-raised [&::-moz-progress-bar]:bg-accent [&::-webkit-progress-bar]:bg-raised [&::-webkit-progress-value]:bg-accent"
        />
        {numberOf(done)} of {countOf(total, 'image')} looked at, here in the browser
      </div>
    );
  }
  return (
    <p role="status" className="max-w-prose text-sm text-muted">
      {seen.length === 0 && unseen > 0 && 'Look for doubles, and for dark, bright and blurred images. '}
      {seen.length > 0 && `${countOf(seen.length, 'image')} looked at, as thumbnails of 320 pixels. `}
      {state === 'cancelled' && `Cancelled; ${numberOf(unseen)} not looked at. `}
      {failed > 0 && state === 'still' && `${countOf(failed, 'image')} could not be fetched; look again. `}
      {unseeable > 0 && `Of ${countOf(unseeable, 'image')} no thumbnail can be made.`}
    </p>
  );
}
