import { createContext, useContext, useLayoutEffect, useState } from 'react';
import { isInCategory, type Pair } from '../../live/pairs.js';
import { drafts } from './drafts.js';

type LoopStep = 'next' | 'previous' | 'missing';

interface LoopOptions {
  readonly datasetId: string;
  /** The pairs whose captions are written one after another, in the order shown. */
  readonly pairs: readonly Pair[];
  /** Brings a pair into view, before its field gets the caret. */
  readonly reveal?: (stem: string) => void;
  /** Takes the focus from a field that is left by Escape; by default, no element has it. */
  readonly leave?: (stem: string) => void;
  /** Whether the Tab key reaches no field from outside, as in a grid of which it reaches one card. */
  readonly isRoving?: boolean;
}

/** A longer caption has no field. */
const MAX_EDITED_BYTES = 64 * 1024;

/** Moves the caret from caption to caption: the same in the grid, in the list, in the viewer and in the inspector. */
export class CaptionLoop {
  options: LoopOptions;
  readonly #fields = new Map<string, () => void>();
  /** The pair whose field is not rendered yet. */
  #pending: string | undefined;

  constructor(options: LoopOptions) {
    this.options = options;
  }

  /** Registers the field of a pair, with what puts the caret at its end. Returns what removes it. */
  register(stem: string, focus: () => void): () => void {
    this.#fields.set(stem, focus);
    if (this.#pending === stem) {
      this.#pending = undefined;
      focus();
    }
    return () => {
      if (this.#fields.get(stem) === focus) this.#fields.delete(stem);
    };
  }

  /** Puts the caret into the caption of a pair. */
  write(stem: string): void {
    this.#pending = stem;
    this.options.reveal?.(stem);
    const focus = this.#fields.get(stem);
    if (focus === undefined || this.#pending === undefined) return;
    this.#pending = undefined;
    focus();
  }

  /** Moves the caret on. Returns whether there is a caption to move to. */
  go(from: string, step: LoopStep): boolean {
    const { pairs, datasetId } = this.options;
    const at = pairs.findIndex(({ stem }) => stem === from);
    const after = pairs.slice(at + 1);
    const before = pairs.slice(0, Math.max(at, 0));
    const to =
      step === 'next'
        ? after.find(hasField)
        : step === 'previous'
          ? before.findLast(hasField)
          : [...after, ...before].find((pair) => isUnwritten(datasetId, pair));
    if (to !== undefined) this.write(to.stem);
    return to !== undefined;
  }
}

function hasField({ caption }: Pair): boolean {
  return caption === undefined || caption.size_bytes <= MAX_EDITED_BYTES;
}

/** Whether a pair has no words yet, neither saved nor typed. */
function isUnwritten(datasetId: string, pair: Pair): boolean {
  if (!isInCategory(pair, 'missing') && !isInCategory(pair, 'blank')) return false;
  const entry = drafts.entry({ datasetId, filename: pair.caption?.filename ?? `${pair.stem}.txt` });
  return entry?.draft === undefined && (entry?.newer?.saved?.text ?? '').trim() === '';
}

const CaptionLoopContext = createContext<CaptionLoop | undefined>(undefined);

/** Provides the loop of the fields in it. */
export const CaptionLoopProvider = CaptionLoopContext.Provider;

export function useCaptionLoop(): CaptionLoop | undefined {
  return useContext(CaptionLoopContext);
}

/** A loop that stays the same object, so that no field renders again, and knows the latest pairs. */
export function useOwnCaptionLoop(options: LoopOptions): CaptionLoop {
  const [loop] = useState(() => new CaptionLoop(options));
  useLayoutEffect(() => {
    loop.options = options;
  });
  return loop;
}
