import { CircleQuestionMark, Search, X } from 'lucide-react';
import { type Ref, useId, useRef, useState } from 'react';
import { withKey } from '../keys.js';
import { Button } from '../ui/button.js';
import type { SearchFault } from './query.js';

interface SearchFieldProps {
  readonly text: string;
  readonly onChange: (text: string) => void;
  readonly fault: SearchFault | undefined;
  readonly field: Ref<HTMLInputElement>;
}

const EXAMPLES = [
  ['red wagon', 'both words in a name or a caption'],
  ['"red wagon"', 'these words as they stand'],
  ['tag:"blue sky"', 'a whole tag'],
  ['-tag:city', 'not this one; the minus works before anything'],
  ['name:IMG_40', 'in the filename alone'],
  ['chars:>200', 'the length of the caption'],
  ['tokens:>75', 'about what a text encoder makes of it'],
  ['width:<768', 'the picture in pixels; also height:'],
  ['ratio:16:9', 'its shape; ratio:<1 is upright'],
  ['is:clip', 'also image, blank, refusal; seconds:>5'],
  ['is:duplicate', 'the same bytes as another file'],
  ['has:mask', 'also control, caption, audio, warning, proposal'],
  ['by:model', 'who wrote the caption; also by:me'],
  ['snow OR (ice -city)', 'one or the other, in groups'],
  ['/^(a|the) /', 'a regular expression'],
] as const;

/** The search of the workbench. What it can't read is said at its place; its examples are behind a button. */
export function SearchField({ text, onChange, fault, field }: SearchFieldProps) {
  const id = useId();
  const frame = useRef<HTMLDivElement>(null);
  const [isOpen, setOpen] = useState(false);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the key is of the button in it
    <div
      ref={frame}
      className="relative flex shrink-0 items-center"
      onBlur={({ relatedTarget }) => !frame.current?.contains(relatedTarget) && setOpen(false)}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !isOpen) return;
        event.preventDefault();
        setOpen(false);
      }}
    >
      <Search size={16} className="pointer-events-none absolute left-3 text-muted" aria-hidden />
      <input
        ref={field}
        type="search"
        aria-label="Search names and captions"
        aria-invalid={fault !== undefined}
        aria-describedby={fault && `${id}-fault`}
        placeholder="Search"
        title={withKey('Search', 'search')}
        autoComplete="off"
        spellCheck={false}
        value={text}
        onChange={(event) => onChange(event.target.value)}
        className="min-h-9 w-36 touch rounded-lg border border-line bg-panel py-1 pr-9 pl-9 text-sm aria-invalid:border-bad max-sm:placeholder-shown:not-focus:w-11 pointer-coarse:text-base xl:w-56 [&::-webkit-search-cancel-button]:hidden"
      />
      <Button
        kind="quiet"
        aria-label={text === '' ? 'What can be searched' : 'Clear the search'}
        aria-expanded={text === '' ? isOpen : undefined}
        onClick={() => (text === '' ? setOpen(!isOpen) : onChange(''))}
        className="absolute right-0 px-2 text-muted max-sm:hidden"
      >
        {text === '' ? <CircleQuestionMark size={16} aria-hidden /> : <X size={16} aria-hidden />}
      </Button>
      {fault !== undefined && <Fault id={`${id}-fault`} text={text} fault={fault} />}
      {isOpen && fault === undefined && <Examples onChoose={onChange} />}
    </div>
  );
}

const BELOW =
  'top-full right-0 z-30 mt-1 rounded-lg border bg-panel p-3 text-sm shadow-lg max-sm:fixed max-sm:inset-x-3 max-sm:top-auto max-sm:mt-11 max-sm:self-start sm:absolute sm:w-96';

function Fault({ id, text, fault: { message, from, to } }: { id: string; text: string; fault: SearchFault }) {
  return (
    <div id={id} role="alert" className={`${BELOW} border-bad`}>
      <p className="font-mono text-xs wrap-anywhere whitespace-pre-wrap">
        {text.slice(0, from)}
        <span className="rounded-xs bg-bad-soft text-bad underline decoration-wavy">{text.slice(from, to)}</span>
        {text.slice(to)}
      </p>
      <p className="mt-1 wrap-anywhere text-bad">{message}</p>
    </div>
  );
}

function Examples({ onChoose }: { onChoose: (text: string) => void }) {
  return (
    <dl aria-label="What can be searched" className={`${BELOW} grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 border-line`}>
      {EXAMPLES.map(([example, words]) => (
        <div key={example} className="contents">
          <dt>
            <button
              type="button"
              onClick={() => onChoose(example)}
              className="cursor-pointer text-left font-mono text-xs text-link"
            >
              {example}
            </button>
          </dt>
          <dd className="self-center text-muted">{words}</dd>
        </div>
      ))}
    </dl>
  );
}
