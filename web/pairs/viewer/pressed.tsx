import type { ReactNode } from 'react';
import { Button } from '../../ui/button.js';

interface PressedProps {
  readonly isOn: boolean;
  /** The key that presses it. */
  readonly shortcut?: string;
  /** What it is, where it shows an icon alone. */
  readonly label?: string;
  readonly title?: string;
  readonly onClick: () => void;
  readonly children: ReactNode;
}

/** A button that is on or off. Not a radio button: the arrow keys must move to the next pair. */
export function Pressed({ isOn, shortcut, label, title, onClick, children }: PressedProps) {
  return (
    <Button
      aria-pressed={isOn}
      aria-label={label}
      aria-keyshortcuts={shortcut}
      title={title ?? (shortcut === undefined ? undefined : `Key ${shortcut}`)}
      onClick={onClick}
      className={`px-2.5! ${isOn ? 'border-accent! bg-raised text-accent' : ''}`}
    >
      {children}
    </Button>
  );
}
