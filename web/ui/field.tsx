import { type ReactNode, useId } from 'react';

export const FIELD = 'min-h-9 touch w-full rounded-lg border border-line bg-page px-3 py-1.5 pointer-coarse:text-base';

/** A field with its label. */
export function Labelled({ label, children }: { label: string; children: (id: string) => ReactNode }) {
  const id = useId();
  return (
    <div className="flex min-w-0 flex-col gap-1 text-sm">
      <label htmlFor={id} className="font-medium">
        {label}
      </label>
      {children(id)}
    </div>
  );
}

interface TextFieldProps {
  readonly label: string;
  readonly value: string;
  readonly type?: 'text' | 'number';
  readonly help?: string;
  readonly onChange: (value: string) => void;
}

export function TextField({ label, value, type = 'text', help, onChange }: TextFieldProps) {
  return (
    <Labelled label={label}>
      {(id) => (
        <>
          <input
            id={id}
            type={type}
            autoComplete="off"
            value={value}
            onChange={({ target }) => onChange(target.value)}
            aria-describedby={help && `${id}-help`}
            className={FIELD}
          />
          {help !== undefined && (
            <p id={`${id}-help`} className="text-muted">
              {help}
            </p>
          )}
        </>
      )}
    </Labelled>
  );
}
