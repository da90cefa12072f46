import { type InputHTMLAttributes, type ReactNode, type SelectHTMLAttributes, useId } from 'react';
import { type Options, optionsOf } from './options.js';

export const FIELD = 'min-h-9 touch w-full rounded-lg border border-line bg-page px-3 py-1.5 pointer-coarse:text-base';

/** Of a label and its field, beside one another. */
const BESIDE = 'flex min-w-0 flex-wrap items-center gap-x-3 gap-y-1 text-sm';

interface LabelledProps {
  readonly label: ReactNode;
  /** Whether the label is at the left of its field; otherwise it is above. */
  readonly isBeside?: boolean;
  readonly children: (id: string) => ReactNode;
}

export function Labelled({ label, isBeside = false, children }: LabelledProps) {
  const id = useId();
  return (
    <div className={isBeside ? BESIDE : 'flex min-w-0 flex-col gap-1 text-sm'}>
      <label htmlFor={id} className={isBeside ? 'text-muted' : 'font-medium'}>
        {label}
      </label>
      {children(id)}
    </div>
  );
}

interface TextFieldProps
  extends Omit<InputHTMLAttributes<HTMLInputElement>, 'onChange'>,
    Omit<LabelledProps, 'children'> {
  readonly value: string;
  readonly help?: ReactNode;
  /** Why the value is not possible; empty if it is. */
  readonly error?: string;
  readonly onChange: (value: string) => void;
}

/** A line of text. */
export function TextField(props: TextFieldProps) {
  const { label, isBeside = false, help, error, onChange, className = '', ...rest } = props;
  return (
    <Labelled {...{ label, isBeside }}>
      {(id) => (
        <>
          <input
            autoComplete="off"
            {...rest}
            id={id}
            aria-invalid={error !== undefined && error !== ''}
            aria-describedby={[help && `${id}-help`, error && `${id}-error`].filter(Boolean).join(' ') || undefined}
            onChange={({ target }) => onChange(target.value)}
            className={`${FIELD} ${isBeside ? 'w-auto! grow' : ''} ${className}`}
          />
          {help !== undefined && (
            <p id={`${id}-help`} className="text-muted">
              {help}
            </p>
          )}
          {error !== undefined && (
            <p id={`${id}-error`} role="alert" className="basis-full text-bad wrap-anywhere empty:hidden">
              {error}
            </p>
          )}
        </>
      )}
    </Labelled>
  );
}

interface SelectFieldProps<T extends string> extends Omit<SelectHTMLAttributes<HTMLSelectElement>, 'onChange'> {
  readonly label: ReactNode;
  readonly value: T;
  readonly options: Options<T>;
  /** Options in groups. */
  readonly children?: ReactNode;
  readonly onChange: (value: T) => void;
}

/** A list to choose from, beside its label. */
export function SelectField<T extends string>(props: SelectFieldProps<T>) {
  const { label, options, onChange, className = '', children, ...rest } = props;
  return (
    <Labelled label={label} isBeside>
      {(id) => (
        <select
          {...rest}
          id={id}
          onChange={({ target }) => onChange(target.value as T)}
          className={`min-h-9 touch max-w-full rounded-lg border border-line bg-page px-2 ${className}`}
        >
          {optionsOf(options, props.value).map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
          {children}
        </select>
      )}
    </Labelled>
  );
}

interface CheckFieldProps {
  readonly isChecked: boolean;
  readonly onChange: (isChecked: boolean) => void;
  readonly children: ReactNode;
}

export function CheckField({ isChecked, onChange, children }: CheckFieldProps) {
  return (
    <label className="flex min-h-6 touch items-center gap-2 text-sm wrap-anywhere">
      <input type="checkbox" checked={isChecked} onChange={({ target }) => onChange(target.checked)} />
      {children}
    </label>
  );
}
