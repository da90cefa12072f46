import { type ReactNode, type Ref, useEffect, useEffectEvent, useState } from 'react';

const LEAVES_AFTER_MS = 10_000;

interface MessageCardProps {
  readonly label: string;
  /** What it tells. Ten seconds after it has changed, the message leaves; `undefined`: it stays. */
  readonly leavesAs: unknown;
  readonly onLeave: () => void;
  readonly ref?: Ref<HTMLElement>;
  readonly className?: string;
  readonly children: ReactNode;
}

/** A message in the lower right corner of the window. It does not leave while the pointer or the focus is in it. */
export function MessageCard({ label, leavesAs, onLeave, ref, className = '', children }: MessageCardProps) {
  const [isHeld, setHeld] = useState(false);
  const leave = useEffectEvent(onLeave);
  useEffect(() => {
    if (leavesAs === undefined || isHeld) return;
    const timer = setTimeout(() => leave(), LEAVES_AFTER_MS);
    return () => clearTimeout(timer);
  }, [leavesAs, isHeld]);
  return (
    <section
      ref={ref}
      aria-label={label}
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
      className={`flex w-90 max-w-[calc(100vw-2rem)] flex-col gap-2 rounded-xl border border-line bg-panel px-4 py-3 text-sm shadow-lg ${className}`}
    >
      {children}
    </section>
  );
}
