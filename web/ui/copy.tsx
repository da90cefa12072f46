import { Check, Copy } from 'lucide-react';
import { useEffect, useState } from 'react';
import { Button } from './button.js';

const CONFIRMATION_MS = 2000;

interface CopyButtonProps {
  readonly text: string;
  /** The object of the label, such as `the digest` in `Copy the digest`. */
  readonly what: string;
}

/** Copies a text to the clipboard, and confirms it. */
export function CopyButton({ text, what }: CopyButtonProps) {
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return;
    const timer = setTimeout(() => setCopied(false), CONFIRMATION_MS);
    return () => clearTimeout(timer);
  }, [isCopied]);
  return (
    <>
      <Button
        kind="quiet"
        aria-label={`Copy ${what}`}
        onClick={() => void copyText(text).then(setCopied)}
        className="shrink-0"
      >
        {isCopied ? <Check size={16} className="text-good" aria-hidden /> : <Copy size={16} aria-hidden />}
      </Button>
      <span role="status" className="sr-only">
        {isCopied ? `Copied ${what}` : ''}
      </span>
    </>
  );
}

/** A command for a terminal, with a copy button. */
export function CopyLine({ text, what }: CopyButtonProps) {
  return (
    <div className="flex items-center gap-1 rounded-lg border border-line bg-page pl-3">
      <code className="min-w-0 grow py-2 text-sm break-words whitespace-pre-wrap">{text}</code>
      <CopyButton text={text} what={what} />
    </div>
  );
}

/** Copies a text to the clipboard. Returns whether it could. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Browsers offer the Clipboard API only over TLS and on localhost (secure contexts), which this service often is not.
    return copyBySelection(text);
  }
}

function copyBySelection(text: string): boolean {
  const field = document.createElement('textarea');
  const before = document.activeElement;
  field.value = text;
  field.readOnly = true;
  // A modal dialog makes everything outside of it unselectable.
  (document.querySelector('dialog[open]') ?? document.body).append(field);
  field.select();
  const isCopied = document.execCommand('copy');
  field.remove();
  if (before instanceof HTMLElement) before.focus();
  return isCopied;
}
