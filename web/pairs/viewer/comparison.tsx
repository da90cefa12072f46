import type { ReactNode } from 'react';
import type { DatasetFile } from '../../../src/client/client.js';
import type { Counterpart } from '../../live/counterparts.js';
import { mediaFactsOf } from '../media-facts.js';
import { type ComparisonChoice, viewOf } from './comparison-choice.js';
import { COMPARED_LABELS, type ComparedPicture, pictureSizeOf } from './compared-picture.js';
import { Full } from './full.js';
import { Overlay } from './overlay.js';
import { ComparisonSlider } from './comparison-slider.js';
import { type Zooming, ZoomStage } from './zoom-stage.js';

interface ComparisonProps {
  readonly datasetId: string;
  readonly file: DatasetFile;
  readonly counterpart: Counterpart;
  /** `control`, `control 2` or `mask`. */
  readonly word: string;
  readonly choice: ComparisonChoice;
  readonly onChoose: (choice: ComparisonChoice) => void;
  readonly zooming: Zooming;
  readonly onSwipe: (step: 1 | -1) => void;
}

/** The target and a control or its mask: side by side, under a slider, or one over the other. */
export function Comparison(props: ComparisonProps) {
  const { datasetId, file, counterpart, word, choice, onChoose, zooming, onSwipe } = props;
  const other = counterpart.file;
  const target = { datasetId, file, label: `target ${file.filename}` };
  if (other === undefined) {
    return (
      <Beside {...{ target, zooming, onSwipe }}>
        {!counterpart.isKnown ? <p aria-live="polite">Loading …</p> : <Missing {...{ counterpart, word }} />}
      </Beside>
    );
  }
  const compared = {
    datasetId: counterpart.id,
    file: other,
    label: `${word} ${other.filename} of ${counterpart.name}`,
  };
  switch (viewOf(choice)) {
    case 'beside':
      return (
        <Beside {...{ target, zooming, onSwipe }}>
          <Picture {...{ ...compared, zooming, onSwipe }} />
        </Beside>
      );
    case 'slider':
      return (
        <ComparisonSlider
          zooming={zooming}
          target={target}
          compared={compared}
          word={word}
          isStretched={counterpart.slot === 'mask'}
          percent={choice.dividerPercent}
          onMove={(dividerPercent) => onChoose({ ...choice, dividerPercent })}
        />
      );
    case 'overlay':
      return (
        <Overlay
          zooming={zooming}
          target={target}
          compared={compared}
          word={word}
          isMask={counterpart.slot === 'mask'}
          percent={choice.opacityPercent}
          onChange={(opacityPercent) => onChoose({ ...choice, opacityPercent })}
        />
      );
  }
}

type Staged = Pick<ComparisonProps, 'zooming' | 'onSwipe'>;

function Beside({ target, children, ...staged }: Staged & { target: ComparedPicture; children: ReactNode }) {
  return (
    <div className="grid size-full grid-cols-1 grid-rows-2 gap-px bg-line sm:grid-cols-2 sm:grid-rows-1">
      <Picture {...target} {...staged} />
      <div className="flex min-h-0 min-w-0 items-center justify-center bg-raised">{children}</div>
    </div>
  );
}

function Picture({ datasetId, file, label, zooming, onSwipe }: Staged & ComparedPicture) {
  return (
    <figure className="flex size-full min-h-0 min-w-0 flex-col bg-raised">
      <ZoomStage {...{ zooming, onSwipe }} picture={pictureSizeOf(file)} isStill={file.kind === 'video'}>
        <Full key={file.sha256} datasetId={datasetId} file={file} isCompared />
      </ZoomStage>
      <figcaption className={COMPARED_LABELS} title={label}>
        <span className="min-w-0 truncate">
          <span className="inline-block first-letter:uppercase">{label}</span> · {mediaFactsOf(file)}
        </span>
      </figcaption>
    </figure>
  );
}

function Missing({ counterpart, word }: Pick<ComparisonProps, 'counterpart' | 'word'>) {
  return (
    <p className="m-4 rounded-lg border-2 border-dashed border-bad p-6 text-center text-bad wrap-anywhere">
      The {word} is missing. {counterpart.name} has no image of this name that the trainer reads.
    </p>
  );
}
