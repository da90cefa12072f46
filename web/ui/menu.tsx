import { ChevronDown } from 'lucide-react';
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { Button } from './button.js';

interface MenuProps {
  readonly label: string;
  /** In place of the label and a chevron. */
  readonly icon?: ReactNode;
  readonly children: ReactNode;
}

const ITEMS = 'a, button';

/**
 * A button that shows buttons and links below it. They stay in the page while they are hidden: a file chooser among them must
 * exist. A chosen one closes the menu, unless it is in `data-stays`. The focus goes to the button of the menu first, from where
 * a dialog gives it back.
 */
export function Menu({ label, icon, children }: MenuProps) {
  const [isOpen, setOpen] = useState(false);
  const id = useId();
  const frame = useRef<HTMLDivElement>(null);
  const close = () => {
    setOpen(false);
    frame.current?.querySelector('button')?.focus();
  };
  useEffect(() => {
    if (!isOpen) return;
    const onOutside = ({ target }: Event) => {
      if (target instanceof Node && frame.current?.contains(target) !== true) setOpen(false);
    };
    document.addEventListener('pointerdown', onOutside);
    document.addEventListener('focusin', onOutside);
    return () => {
      document.removeEventListener('pointerdown', onOutside);
      document.removeEventListener('focusin', onOutside);
    };
  }, [isOpen]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (!isOpen) return;
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (event.key === 'Escape') close();
    else if (step === 0) return;
    else moveFocus(frame.current, step);
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys are of the buttons in it
    <div ref={frame} className="relative" onKeyDown={onKeyDown}>
      <Button
        kind={icon === undefined ? 'plain' : 'quiet'}
        aria-expanded={isOpen}
        aria-controls={id}
        {...(icon !== undefined && { 'aria-label': label })}
        onClick={() => setOpen(!isOpen)}
      >
        {icon ?? (
          <>
            {label} <ChevronDown size={14} aria-hidden />
          </>
        )}
      </Button>
      <div
        id={id}
        hidden={!isOpen}
        onClickCapture={({ target }) => {
          const item = target instanceof Element ? target.closest(ITEMS) : null;
          const stays = item?.closest('[data-stays], [aria-disabled=true]') ?? null;
          if (item !== null && stays === null) close();
        }}
        className="absolute top-full right-0 z-30 mt-1 flex w-max min-w-44 flex-col rounded-lg border border-line bg-panel p-1 shadow-lg [&_button]:w-full [&_button]:justify-start [&_button]:rounded-md [&_button]:border-transparent [&_button]:bg-transparent [&_button]:font-normal [&_button:hover]:bg-raised"
      >
        {children}
      </div>
    </div>
  );
}

/** A link in a menu. */
export const MENU_LINK = 'flex min-h-9 touch items-center gap-2 rounded-md px-3 py-1.5 text-sm hover:bg-raised';

function moveFocus(frame: HTMLElement | null, step: number): void {
  const items = [...(frame?.querySelectorAll<HTMLElement>('a, button') ?? [])];
  const at = items.indexOf(document.activeElement as HTMLElement);
  items[(at + step + items.length) % items.length]?.focus();
}
