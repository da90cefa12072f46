import { type InputHTMLAttributes, type ReactNode, useState } from 'react';
import type { DatasetFile } from '../../../src/client/client.js';
import type { LinkSlot } from '../../../src/dataset/dataset.js';
import type { Counterpart } from '../../live/counterparts.js';
import { useLinks } from '../../live/dataset.js';
import { slotWord } from '../../live/slot-words.js';
import { capitalized } from '../../ui/format.js';
import { Labelled } from '../../ui/fields.js';
import { mediaFactsOf } from '../media-facts.js';
import { Full } from './full.js';
import { Pressed } from './pressed.js';
import { pictureSizeOf, type Zooming, ZoomStage } from './zoom-stage.js';

/** How two pictures are compared, with the labels. */
const VIEWS = { beside: 'Side by side', slider: 'Slider', overlay: 'Overlay' } as const;
type View = keyof typeof VIEWS;

/** What the viewer shows. It stays the same from pair to pair. */
export interface ComparisonChoice {
  /** The control or mask that the target is compared with; `undefined`: the target alone. */
  readonly slot: LinkSlot | undefined;
  readonly views: Readonly<Record<'control' | 'mask', View>>;
  /** The part of the width that shows the target, in percent. */
  readonly dividerPercent: number;
  readonly opacityPercent: number;
}

export const TARGET_ALONE: ComparisonChoice = {
  slot: undefined,
  views: { control: 'beside', mask: 'overlay' },
  dividerPercent: 50,
  opacityPercent: 50,
};

/** The key that shows each control or mask. */
export const SLOT_KEYS = { control_1: '1', control_2: '2', control_3: '3', mask: 'M' } as const;

function roleIn({ slot }: ComparisonChoice): 'control' | 'mask' {
  return slot === 'mask' ? 'mask' : 'control';
}

function withView(choice: ComparisonChoice, view: View): ComparisonChoice {
  return { ...choice, views: { ...choice.views, [roleIn(choice)]: view } };
}

/** The next way to compare; with the target alone, the first of the slots beside it. */
export function withNextView(choice: ComparisonChoice, slots: readonly LinkSlot[]): ComparisonChoice {
  if (choice.slot === undefined) return { ...choice, slot: slots[0] };
  const views = Object.keys(VIEWS) as View[];
  return withView(choice, views[(views.indexOf(choice.views[roleIn(choice)]) + 1) % views.length]!);
}

interface ComparisonBarProps {
  readonly counterparts: readonly Counterpart[];
  readonly choice: ComparisonChoice;
  readonly onChoose: (choice: ComparisonChoice) => void;
}

/** Chooses the control or mask that the target is compared with, and how. */
export function ComparisonBar({ counterparts, choice, onChoose }: ComparisonBarProps) {
  const slots = counterparts.map(({ slot }) => slot);
  const options = [
    { slot: undefined, label: 'Target alone', key: '0' },
    ...slots.map((slot) => ({ slot, label: capitalized(slotWord(slot, slots)), key: SLOT_KEYS[slot] })),
  ];
  return (
    <div className="flex flex-wrap items-center gap-x-6 gap-y-1 border-b border-line bg-panel px-2 py-1">
      <fieldset className="flex flex-wrap gap-1">
        <legend className="sr-only">Compare the target with</legend>
        {options.map(({ slot, label, key }) => (
          <Pressed key={key} shortcut={key} isOn={choice.slot === slot} onClick={() => onChoose({ ...choice, slot })}>
            {label}
          </Pressed>
        ))}
      </fieldset>
      {choice.slot !== undefined && (
        <fieldset className="flex flex-wrap gap-1">
          <legend className="sr-only">How to compare</legend>
          {Object.entries(VIEWS).map(([view, label]) => (
            <Pressed
              key={view}
              shortcut="V"
              isOn={choice.views[roleIn(choice)] === view}
              onClick={() => onChoose(withView(choice, view as View))}
            >
              {label}
            </Pressed>
          ))}
        </fieldset>
      )}
    </div>
  );
}

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

/** A picture that is compared with another one. */
interface ComparedPicture {
  readonly datasetId: string;
  readonly file: DatasetFile;
  /** What it is, such as `control`, and which file. */
  readonly label: string;
}

/** The target and a control or its mask: side by side, under a slider, or one over the other. */
export function Comparison(props: ComparisonProps) {
  const { datasetId, file, counterpart, word, choice, zooming, onSwipe } = props;
  const target = { datasetId, file, label: `target ${file.filename}` };
  if (counterpart.file === undefined) {
    return (
      <Beside {...{ target, zooming, onSwipe }}>
        {counterpart.isKnown ? (
          <p className="m-4 rounded-lg border-2 border-dashed border-bad p-6 text-center text-bad wrap-anywhere">
            The {word} is missing. {counterpart.name} has no image of this name that the trainer reads.
          </p>
        ) : (
          <p aria-live="polite">Loading …</p>
        )}
      </Beside>
    );
  }
  const compared = {
    datasetId: counterpart.id,
    file: counterpart.file,
    label: `${word} ${counterpart.file.filename} of ${counterpart.name}`,
  };
  const view = choice.views[roleIn(choice)];
  if (view !== 'beside') return <Stacked {...props} {...{ target, compared }} isDivided={view === 'slider'} />;
  return (
    <Beside {...{ target, zooming, onSwipe }}>
      <Picture {...{ ...compared, zooming, onSwipe }} />
    </Beside>
  );
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

/** The line below pictures that are compared. */
const LABELS = 'flex flex-wrap items-center justify-center gap-x-4 px-2 py-1 text-xs text-muted';

function Picture({ datasetId, file, label, zooming, onSwipe }: Staged & ComparedPicture) {
  return (
    <figure className="flex size-full min-h-0 min-w-0 flex-col bg-raised">
      <ZoomStage {...{ zooming, onSwipe }} picture={pictureSizeOf(file)} isStill={file.kind === 'video'}>
        <Full key={file.sha256} datasetId={datasetId} file={file} isCompared />
      </ZoomStage>
      <figcaption className={LABELS} title={label}>
        <span className="min-w-0 truncate">
          <span className="inline-block first-letter:uppercase">{label}</span> · {mediaFactsOf(file)}
        </span>
      </figcaption>
    </figure>
  );
}

interface PercentInputProps extends Omit<InputHTMLAttributes<HTMLInputElement>, 'onChange'> {
  readonly onChange: (percent: number) => void;
}

function PercentInput({ onChange, ...rest }: PercentInputProps) {
  return (
    <input
      {...rest}
      type="range"
      min={0}
      max={100}
      onChange={({ target }) => onChange(target.valueAsNumber)}
      // The arrow keys then move to the next pair again.
      onPointerUp={({ currentTarget }) => currentTarget.blur()}
    />
  );
}

interface StackedProps extends ComparisonProps {
  readonly target: ComparedPicture;
  readonly compared: ComparedPicture;
  readonly isDivided: boolean;
}

/**
 * A control or the mask over the target: right of a divider, which the pointer drags and arrow keys move, or so opaque as the
 * user chooses, a mask then as a colour where it is white.
 */
function Stacked({ zooming, target, compared, counterpart, word, choice, onChoose, isDivided }: StackedProps) {
  const { dividerPercent, opacityPercent } = choice;
  const isMask = counterpart.slot === 'mask';
  return (
    <div className="flex size-full flex-col">
      <ZoomStage zooming={zooming} picture={pictureSizeOf(target.file)}>
        <div className="absolute inset-0">
          <Full key={target.file.sha256} datasetId={target.datasetId} file={target.file} isCompared />
        </div>
        <div
          className={`pointer-events-none absolute inset-0 ${isDivided ? 'bg-raised' : ''}`}
          style={isDivided ? { clipPath: `inset(0 0 0 ${dividerPercent}%)` } : { opacity: opacityPercent / 100 }}
        >
          {isMask && !isDivided && compared.file.kind === 'image' ? (
            <ColouredMask key={compared.file.sha256} {...compared} />
          ) : (
            <Full
              key={compared.file.sha256}
              datasetId={compared.datasetId}
              file={compared.file}
              isCompared
              // As the trainer stretches masks.
              isStretched={isMask && isDivided}
            />
          )}
        </div>
        {isDivided && (
          <>
            <div
              aria-hidden
              className="absolute inset-y-0 w-1 -translate-x-1/2 border-x border-panel bg-accent"
              style={{ left: `${dividerPercent}%` }}
            />
            <PercentInput
              value={dividerPercent}
              aria-label={`Divider between the target and the ${word}`}
              aria-valuetext={`${dividerPercent} % target, ${100 - dividerPercent} % ${word}`}
              onChange={(percent) => onChoose({ ...choice, dividerPercent: percent })}
              className="absolute inset-0 m-0 size-full cursor-ew-resize opacity-0"
            />
          </>
        )}
      </ZoomStage>
      <div className={LABELS}>
        {isDivided ? (
          <>
            <span className="wrap-anywhere">Left: {target.label}</span>
            <span className="wrap-anywhere">Right: {compared.label}</span>
          </>
        ) : (
          <>
            <span className="wrap-anywhere">
              {compared.label} over the {target.label}
            </span>
            <Labelled label={`Opacity of the ${word}`} isBeside>
              {(id) => (
                <>
                  <PercentInput
                    id={id}
                    step={5}
                    value={opacityPercent}
                    aria-valuetext={`${opacityPercent} %`}
                    onChange={(percent) => onChoose({ ...choice, opacityPercent: percent })}
                    className="h-6 w-32 touch cursor-pointer accent-accent"
                  />
                  <span className="w-10 tabular-nums">{opacityPercent} %</span>
                </>
              )}
            </Labelled>
          </>
        )}
      </div>
    </div>
  );
}

/** Rare in photographs, and visible on dark and on light ones. */
const MASK_COLOUR = '#ff2ea6';

/** A colour whose opacity is the luminance of the mask, stretched over the target, as the trainer reads masks. */
function ColouredMask({ datasetId, file, label }: ComparedPicture) {
  const links = useLinks(datasetId);
  const [isBroken, setBroken] = useState(false);
  if (links === undefined) return null;
  if (isBroken) return <p className="bg-panel p-2 text-sm text-bad">This browser can't display {file.filename}.</p>;
  const id = `mask-${file.sha256}`;
  const whole = { width: 1, height: 1 };
  return (
    <svg role="img" aria-label={label} viewBox="0 0 1 1" preserveAspectRatio="none" className="size-full">
      <mask id={id} maskUnits="userSpaceOnUse" x="0" y="0" {...whole}>
        <image href={links.file(file)} preserveAspectRatio="none" onError={() => setBroken(true)} {...whole} />
      </mask>
      <rect fill={MASK_COLOUR} mask={`url(#${id})`} {...whole} />
    </svg>
  );
}
