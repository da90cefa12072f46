import { BUCKET_STEPS, bucketOf, type BucketRules, RESOLUTIONS, type Size } from '../../../src/dataset/buckets.js';
import { Pressed } from './pressed.js';

/** The frame over a picture around what the trainer takes of it. The rest is darker. */
export function CropFrame({ picture, rules }: { picture: Size; rules: BucketRules }) {
  const { bucket, taken } = cropOf(picture, rules);
  return (
    <div
      role="img"
      aria-label={`Crop to ${bucket.width} × ${bucket.height}`}
      className="pointer-events-none absolute inset-0 m-auto border-2 border-accent shadow-[0_0_0_100vmax_rgb(0_0_0/60%)]"
      style={{
        width: `${(100 * taken.width) / picture.width}%`,
        height: `${(100 * taken.height) / picture.height}%`,
      }}
    />
  );
}

interface CropBarProps {
  readonly picture: Size;
  readonly rules: BucketRules;
  readonly onRules: (rules: BucketRules) => void;
}

/** Says what the trainer crops a picture to, by the resolution and the steps of the model. */
export function CropBar({ picture, rules, onRules }: CropBarProps) {
  const crop = cropOf(picture, rules);
  return (
    <div className="flex flex-wrap items-center gap-x-4 gap-y-1 px-2 py-1 text-sm">
      <p role="status" className="mr-auto">
        Trained on at{' '}
        <strong className="font-semibold">
          {crop.bucket.width} × {crop.bucket.height}
        </strong>
        , which {cutText(picture, crop)}.
      </p>
      {(
        [
          ['Resolution', 'resolution', RESOLUTIONS],
          ['Sides in steps of', 'step', BUCKET_STEPS],
        ] as const
      ).map(([legend, name, values]) => (
        <fieldset key={name} className="flex items-center gap-1">
          <legend className="float-left mr-1 text-muted">{legend}</legend>
          {values.map((value) => (
            <Pressed key={value} isOn={rules[name] === value} onClick={() => onRules({ ...rules, [name]: value })}>
              {String(value)}
            </Pressed>
          ))}
        </fieldset>
      ))}
    </div>
  );
}

/**
 * What is left of a picture that is scaled until it covers its bucket, and cropped to the middle (ai-toolkit,
 * `toolkit/dataloader_mixins.py`, `setup_buckets`).
 */
export function cropOf(picture: Size, rules: BucketRules) {
  const bucket = bucketOf(picture, rules);
  const scale = Math.max(bucket.width / picture.width, bucket.height / picture.height);
  return {
    /** The size in which it is trained on. */
    bucket,
    /** The size of what is taken from the middle, in pixels of the picture. */
    taken: { width: bucket.width / scale, height: bucket.height / scale },
  };
}

/** `Cuts 12 px at the left and right`; `Cuts nothing`. */
export function cutText({ width, height }: Size, { taken }: Pick<ReturnType<typeof cropOf>, 'taken'>): string {
  const [across, down] = [(width - taken.width) / 2, (height - taken.height) / 2];
  if (across < 0.5 && down < 0.5) return 'cuts nothing';
  return across >= down
    ? `cuts ${Math.round(across)} px at the left and at the right`
    : `cuts ${Math.round(down)} px at the top and at the bottom`;
}
