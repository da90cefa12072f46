import { type KeyboardEvent, useId, useMemo, useState } from 'react';
import { foldCase } from './format.js';

/** Something to choose by its name. */
export interface Choice {
  /** Unique among all choices. */
  readonly key: string;
  readonly label: string;
  /** Shown beside the label, and not searched. */
  readonly detail?: string;
  readonly choose: () => void;
}

export interface ChoiceGroup {
  readonly title: string;
  readonly choices: readonly Choice[];
  /** Shown before anything is typed; by default, all are. */
  readonly shownAtFirst?: number;
}

/** More would be a list to read, and not to choose from. */
const MAX_SHOWN_OF_GROUP = 8;

interface ChooserProps {
  readonly label: string;
  readonly placeholder?: string;
  readonly groups: readonly ChoiceGroup[];
}

/** A field that lists the choices whose names contain what is typed. ↓ and ↑ go through them, Enter takes one. */
export function Chooser({ label, placeholder, groups }: ChooserProps) {
  const id = useId();
  const [text, setText] = useState('');
  const [key, setKey] = useState<string>();
  const found = useMemo(() => groups.map((group) => ({ ...group, choices: foundIn(group, text) })), [groups, text]);
  const all = found.flatMap(({ choices }) => choices);
  const current = all.find((choice) => choice.key === key) ?? all[0];
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (event.key === 'Enter') current?.choose();
    else if (step !== 0 && all.length > 0) move((all.indexOf(current!) + step + all.length) % all.length);
    else return;
    event.preventDefault();
  };
  const move = (index: number) => {
    setKey(all[index]!.key);
    document.getElementById(`${id}-${index}`)?.scrollIntoView({ block: 'nearest' });
  };
  return (
    <div className="flex flex-col gap-2">
      <input
        // biome-ignore lint/a11y/noAutofocus: the dialog is there to type in it
        autoFocus
        type="text"
        role="combobox"
        aria-label={label}
        aria-expanded
        aria-controls={id}
        aria-activedescendant={current && `${id}-${all.indexOf(current)}`}
        placeholder={placeholder}
        autoComplete="off"
        spellCheck={false}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setKey(undefined);
        }}
        onKeyDown={onKeyDown}
        className="min-h-10 touch w-full rounded-lg border border-line bg-page px-3 text-base"
      />
      <div id={id} role="listbox" aria-label="Choices" className="h-[min(24rem,50dvh)] overflow-y-auto">
        {found.map(
          ({ title, choices }) =>
            choices.length > 0 && (
              // biome-ignore lint/a11y/useSemanticElements: a fieldset is no part of a list
              <div key={title} role="group" aria-label={title} className="mb-2">
                <p aria-hidden className="px-2 text-xs font-semibold text-muted">
                  {title}
                </p>
                {choices.map((choice) => (
                  // biome-ignore lint/a11y/useFocusableInteractive: the field keeps the focus, and names the chosen one
                  // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the field
                  <div
                    key={choice.key}
                    id={`${id}-${all.indexOf(choice)}`}
                    role="option"
                    aria-selected={choice === current}
                    onMouseDown={(event) => event.preventDefault()}
                    onClick={choice.choose}
                    className="flex min-h-9 touch cursor-pointer items-center gap-3 rounded-md px-2 text-sm hover:bg-raised aria-selected:bg-accent aria-selected:text-on-accent"
                  >
                    <span className="min-w-0 truncate">{choice.label}</span>
                    {choice.detail !== undefined && <span className="ml-auto shrink-0 text-xs">{choice.detail}</span>}
                  </div>
                ))}
              </div>
            ),
        )}
      </div>
      <p role="status" className="text-sm text-muted empty:hidden">
        {all.length === 0 && (text === '' ? 'There is nothing to choose.' : `Nothing is called “${text}”.`)}
      </p>
    </div>
  );
}

/** Those with all words in their names, and first those whose names begin with the text. */
function foundIn({ choices, shownAtFirst }: ChoiceGroup, text: string): readonly Choice[] {
  const typed = foldCase(text.trim());
  if (typed === '') return choices.slice(0, shownAtFirst);
  const words = typed.split(/\s+/);
  const found = choices
    .map((choice) => ({ choice, name: foldCase(choice.label) }))
    .filter(({ name }) => words.every((word) => name.includes(word)));
  const begins = found.filter(({ name }) => name.startsWith(typed));
  const others = found.filter(({ name }) => !name.startsWith(typed));
  return [...begins, ...others].slice(0, MAX_SHOWN_OF_GROUP).map(({ choice }) => choice);
}
