import { slotLabel } from '../../live/slot-words.js';
import type { Counterpart } from '../../live/counterparts.js';
import { Button } from '../../ui/button.js';
import {
  COMPARISON_VIEWS,
  type ComparisonChoice,
  type ComparisonView,
  SLOT_KEYS,
  TARGET_KEY,
  VIEW_KEY,
  viewOf,
  withView,
} from './comparison-choice.js';

interface ComparisonBarProps {
  readonly counterparts: readonly Counterpart[];
  readonly choice: ComparisonChoice;
  readonly onChoose: (choice: ComparisonChoice) => void;
}

/** Chooses the control or mask that the target is compared with, and how. */
export function ComparisonBar({ counterparts, choice, onChoose }: ComparisonBarProps) {
  const slots = counterparts.map(({ slot }) => slot);
  const options = [
    { slot: undefined, label: 'Target alone', key: TARGET_KEY },
    ...slots.map((slot) => ({ slot, label: slotLabel(slot, slots), key: SLOT_KEYS[slot] })),
  ];
  return (
    <div className="flex flex-wrap items-center gap-x-6 gap-y-2">
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
          {Object.entries(COMPARISON_VIEWS).map(([view, label]) => (
            <Pressed
              key={view}
              shortcut={VIEW_KEY}
              isOn={viewOf(choice) === view}
              onClick={() => onChoose(withView(choice, view as ComparisonView))}
            >
              {label}
            </Pressed>
          ))}
        </fieldset>
      )}
    </div>
  );
}

interface PressedProps {
  readonly isOn: boolean;
  readonly shortcut: string;
  readonly onClick: () => void;
  readonly children: string;
}

/** Buttons, not radio buttons: the arrow keys must move to the next pair. */
function Pressed({ isOn, shortcut, onClick, children }: PressedProps) {
  return (
    <Button
      kind={isOn ? 'primary' : 'plain'}
      aria-pressed={isOn}
      aria-keyshortcuts={shortcut}
      title={`Key ${shortcut.toUpperCase()}`}
      onClick={onClick}
    >
      {children}
    </Button>
  );
}
