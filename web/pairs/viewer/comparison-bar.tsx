import type { Counterpart } from '../../live/counterparts.js';
import { slotLabel } from '../../live/slot-words.js';
import {
  COMPARISON_VIEWS,
  type ComparisonChoice,
  type ComparisonView,
  SLOT_KEYS,
  viewOf,
  withView,
} from './comparison-choice.js';
import { Pressed } from './pressed.js';

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
    ...slots.map((slot) => ({ slot, label: slotLabel(slot, slots), key: SLOT_KEYS[slot] })),
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
          {Object.entries(COMPARISON_VIEWS).map(([view, label]) => (
            <Pressed
              key={view}
              shortcut="V"
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
