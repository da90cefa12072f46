import type { ReactNode } from 'react';
import { foldCase } from './format.js';

/** A text in which some texts are marked, in upper or lower case. */
export function Marked({ text, marks }: { text: string; marks: readonly string[] }): ReactNode {
  const folded = foldCase(text);
  const found = marks.map(foldCase).filter((mark) => mark !== '' && folded.includes(mark));
  // Folding may change the length of a text, which is then not marked.
  if (found.length === 0 || folded.length !== text.length) return text;
  const pieces: ReactNode[] = [];
  for (let at = 0; at < text.length; ) {
    const next = found
      .map((mark) => ({ from: folded.indexOf(mark, at), length: mark.length }))
      .filter(({ from }) => from !== -1)
      .sort((a, b) => a.from - b.from || b.length - a.length)[0];
    const from = next?.from ?? text.length;
    pieces.push(text.slice(at, from));
    if (next === undefined) break;
    at = from + next.length;
    pieces.push(
      <mark key={from} className="rounded-xs bg-mark text-inherit">
        {text.slice(from, at)}
      </mark>,
    );
  }
  return pieces;
}
