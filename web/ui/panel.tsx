import { type ReactNode, useId } from 'react';
import { type Options, optionsOf } from './options.js';

interface PanelProps {
  readonly title: string;
  readonly children: ReactNode;
  /** Shown beside the title. */
  readonly aside?: ReactNode;
}

/** A titled section. */
export function Panel({ title, aside, children }: PanelProps) {
  const id = useId();
  return (
    <section
      aria-labelledby={id}
      className="flex min-w-0 flex-col gap-4 rounded-xl border border-line bg-panel p-4 sm:p-5"
    >
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <h2 id={id} className="mr-auto text-base font-semibold">
          {title}
        </h2>
        {aside}
      </div>
      {children}
    </section>
  );
}

interface ChoicesProps<T extends string | number> {
  readonly label: string;
  /** Shows the label to screen readers only, where the context makes it redundant. */
  readonly isLabelHidden?: boolean;
  readonly options: Options<T>;
  readonly value: T;
  readonly onChange: (value: T) => void;
}

/** A group of radio buttons. */
export function Choices<T extends string | number>(props: ChoicesProps<T>) {
  const { label, isLabelHidden = false, options, value, onChange } = props;
  const name = useId();
  return (
    <fieldset className="flex items-center gap-2 text-sm">
      <legend className={isLabelHidden ? 'sr-only' : 'float-left mr-2 text-muted'}>{label}</legend>
      <div className="flex rounded-lg border border-line bg-page p-0.5">
        {optionsOf(options, value).map((option) => (
          <label
            key={option.value}
            className="inline-flex touch cursor-pointer items-center justify-center rounded-md px-2.5 py-1 tabular-nums hover:bg-raised has-checked:bg-accent has-checked:text-on-accent has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent"
          >
            <input
              type="radio"
              name={name}
              checked={option.value === value}
              onChange={() => onChange(option.value)}
              className="sr-only"
            />
            {option.label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
