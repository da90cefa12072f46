import type { LucideIcon } from 'lucide-react';
import type { ButtonHTMLAttributes } from 'react';

const STYLES = {
  primary: 'bg-accent text-on-accent hover:brightness-110 border-transparent',
  plain: 'bg-panel hover:bg-raised border-line',
  quiet: 'bg-transparent hover:bg-raised border-transparent',
  danger: 'bg-panel text-bad hover:bg-bad-soft border-bad',
} as const;

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  readonly kind?: keyof typeof STYLES;
  /** Before the text, or alone. */
  readonly icon?: LucideIcon;
}

/**
 * A button. With only an icon, it needs an `aria-label`, which is also its tooltip. A disabled one keeps the focus, and its
 * tooltip can say why.
 */
export function Button(props: ButtonProps) {
  const { kind = 'plain', icon: Icon, className = '', type = 'button', disabled = false, ...rest } = props;
  const { onClick, onKeyDown, children } = rest;
  return (
    <button
      {...rest}
      type={type}
      title={rest.title ?? rest['aria-label']}
      aria-disabled={disabled || undefined}
      onKeyDown={(event) => {
        // A key that is held presses a button once: the focus may have moved to the same button of the next entry.
        if (event.repeat && event.key === 'Enter') event.preventDefault();
        onKeyDown?.(event);
      }}
      onClick={disabled ? (event) => event.preventDefault() : onClick}
      className={`inline-flex min-h-9 min-w-9 touch cursor-pointer items-center justify-center gap-2 rounded-lg border px-3 py-1.5 text-sm font-medium aria-disabled:cursor-not-allowed aria-disabled:opacity-50 ${STYLES[kind]} ${className}`}
    >
      {Icon !== undefined && <Icon size={children === undefined ? 18 : 16} className="shrink-0" aria-hidden />}
      {children}
    </button>
  );
}
