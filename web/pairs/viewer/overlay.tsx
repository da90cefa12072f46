import { useState } from 'react';
import { useLinks } from '../../live/dataset.js';
import { COMPARED_LABELS, type ComparedPicture, pictureSizeOf } from './compared-picture.js';
import { Full } from './full.js';
import { type Zooming, ZoomStage } from './zoom-stage.js';

/** Rare in photographs, and visible on dark and on light ones. */
const MASK_COLOUR = '#ff2ea6';

interface OverlayProps {
  readonly zooming: Zooming;
  readonly target: ComparedPicture;
  readonly compared: ComparedPicture;
  /** `control`, `control 2` or `mask`. */
  readonly word: string;
  /** Shows a colour where the mask is white, instead of the picture. */
  readonly isMask: boolean;
  readonly percent: number;
  readonly onChange: (percent: number) => void;
}

/** A control or the mask over the target. */
export function Overlay({ zooming, target, compared, word, isMask, percent, onChange }: OverlayProps) {
  const isColoured = isMask && compared.file.kind === 'image';
  return (
    <div className="flex size-full flex-col">
      <ZoomStage zooming={zooming} picture={pictureSizeOf(target.file)}>
        <div className="absolute inset-0">
          <Full key={target.file.sha256} datasetId={target.datasetId} file={target.file} isCompared />
        </div>
        <div className="pointer-events-none absolute inset-0" style={{ opacity: percent / 100 }}>
          {isColoured ? (
            <ColouredMask key={compared.file.sha256} {...compared} />
          ) : (
            <Full key={compared.file.sha256} datasetId={compared.datasetId} file={compared.file} isCompared />
          )}
        </div>
      </ZoomStage>
      <div className={COMPARED_LABELS}>
        <span className="wrap-anywhere">
          {compared.label} over the {target.label}
        </span>
        <label className="flex items-center gap-2">
          Opacity of the {word}
          <input
            type="range"
            min={0}
            max={100}
            step={5}
            value={percent}
            aria-valuetext={`${percent} %`}
            onChange={({ target: { valueAsNumber } }) => onChange(valueAsNumber)}
            onPointerUp={({ currentTarget }) => currentTarget.blur()}
            className="h-6 w-32 touch cursor-pointer accent-accent"
          />
          <span className="w-10 tabular-nums">{percent} %</span>
        </label>
      </div>
    </div>
  );
}

/** A colour whose opacity is the luminance of the mask, stretched over the target, as the trainer reads masks. */
function ColouredMask({ datasetId, file, label }: ComparedPicture) {
  const links = useLinks(datasetId);
  const [isBroken, setBroken] = useState(false);
  if (links === undefined) return null;
  if (isBroken) return <p className="bg-panel p-2 text-sm text-bad">This browser can't display {file.filename}.</p>;
  const id = `mask-${file.sha256}`;
  return (
    <svg role="img" aria-label={label} viewBox="0 0 1 1" preserveAspectRatio="none" className="size-full">
      <mask id={id} maskUnits="userSpaceOnUse" x="0" y="0" width="1" height="1">
        <image
          href={links.file(file)}
          width="1"
          height="1"
          preserveAspectRatio="none"
          onError={() => setBroken(true)}
        />
      </mask>
      <rect width="1" height="1" fill={MASK_COLOUR} mask={`url(#${id})`} />
    </svg>
  );
}
