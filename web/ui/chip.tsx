import type { ReactNode } from 'react';

/** A filter of a list. One filter of several is on. */
export function Chip({ isOn, onClick, children }: { isOn: boolean; onClick: () => void; children: ReactNode }) {
  return (
    <button
      type="button"
      aria-pressed={isOn}
      onClick={onClick}
      className="inline-flex min-h-9 touch cursor-pointer items-center justify-center gap-1.5 rounded-full border border-line px-3 text-sm hover:bg-raised aria-pressed:border-accent aria-pressed:bg-accent aria-pressed:text-on-accent"
    >
      {children}
    </button>
  );
}
