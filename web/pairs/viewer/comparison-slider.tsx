import { COMPARED_LABELS, type ComparedPicture, pictureSizeOf } from './compared-picture.js';
import { Full } from './full.js';
import { type Zooming, ZoomStage } from './zoom-stage.js';

interface ComparisonSliderProps {
  readonly zooming: Zooming;
  readonly target: ComparedPicture;
  readonly compared: ComparedPicture;
  /** `control`, `control 2` or `mask`. */
  readonly word: string;
  /** Stretches the second picture over the target, as the trainer stretches masks. */
  readonly isStretched: boolean;
  /** The part of the width that shows the target. */
  readonly percent: number;
  readonly onMove: (percent: number) => void;
}

/** The target left of a divider, and a control or its mask right of it. The pointer drags the divider, and arrow keys move it. */
export function ComparisonSlider(props: ComparisonSliderProps) {
  const { zooming, target, compared, word, isStretched, percent, onMove } = props;
  return (
    <div className="flex size-full flex-col">
      <ZoomStage zooming={zooming} picture={pictureSizeOf(target.file)}>
        <div className="absolute inset-0">
          <Full key={target.file.sha256} datasetId={target.datasetId} file={target.file} isCompared />
        </div>
        <div className="absolute inset-0 bg-raised" style={{ clipPath: `inset(0 0 0 ${percent}%)` }}>
          <Full
            key={compared.file.sha256}
            datasetId={compared.datasetId}
            file={compared.file}
            isCompared
            isStretched={isStretched}
          />
        </div>
        <div
          aria-hidden
          className="absolute inset-y-0 w-1 -translate-x-1/2 border-x border-panel bg-accent"
          style={{ left: `${percent}%` }}
        />
        <input
          type="range"
          min={0}
          max={100}
          value={percent}
          aria-label={`Divider between the target and the ${word}`}
          aria-valuetext={`${percent} % target, ${100 - percent} % ${word}`}
          onChange={({ target: { valueAsNumber } }) => onMove(valueAsNumber)}
          // The arrow keys then move to the next pair again.
          onPointerUp={({ currentTarget }) => currentTarget.blur()}
          className="absolute inset-0 m-0 size-full cursor-ew-resize opacity-0"
        />
      </ZoomStage>
      <div className={COMPARED_LABELS}>
        <span>
          Left: <span className="wrap-anywhere">{target.label}</span>
        </span>
        <span>
          Right: <span className="wrap-anywhere">{compared.label}</span>
        </span>
      </div>
    </div>
  );
}
