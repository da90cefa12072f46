import { useEffect, useEffectEvent } from 'react';
import { isDialogOpen, isTyping } from './ui/keys.js';

/** Where a key works, as the sheet of keys says it. */
export const KEY_PLACES = {
  caption: 'In a caption',
  pictures: 'Among the pictures',
  viewer: 'In the viewer',
  duplicates: 'Among duplicates',
  page: 'In a dataset',
} as const;

type KeyPlace = keyof typeof KEY_PLACES;

/** A key and what it does. */
export interface KeyRow {
  readonly place: KeyPlace;
  /** Such as `Ctrl+Enter`; `Ctrl` is the command key of a Mac too. `G F` is one key after the other. */
  readonly keys: readonly string[];
  readonly does: string;
  /** The keys for the sheet, where there are many. */
  readonly shown?: string;
}

const MOVES = ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Home', 'End', 'PageUp', 'PageDown'] as const;

/** Every key of the page: this table binds the keys, makes the sheet of keys, and is quoted in tooltips. */
export const KEY_TABLE = {
  saveNext: { place: 'caption', keys: ['Ctrl+Enter', 'Tab'], does: 'Save, and go to the next caption' },
  savePrevious: {
    place: 'caption',
    keys: ['Ctrl+Shift+Enter', 'Shift+Tab'],
    does: 'Save, and go to the previous caption',
  },
  nextMissing: { place: 'caption', keys: ['Ctrl+J'], does: 'Save, and go to the next pair without a caption' },
  giveBack: { place: 'caption', keys: ['Escape'], does: 'Give the text back as it was; again: leave the field' },
  move: { place: 'pictures', keys: MOVES, shown: '← → ↑ ↓ Home End Page', does: 'Move' },
  extend: {
    place: 'pictures',
    keys: MOVES.map((key) => `Shift+${key}`),
    shown: 'Shift and these',
    does: 'Move, and extend the selection',
  },
  toggle: { place: 'pictures', keys: ['Space'], does: 'Select the pair, or no longer' },
  extendTo: { place: 'pictures', keys: ['Shift+Space'], does: 'Select from the last selected pair to this one' },
  selectAll: { place: 'pictures', keys: ['Ctrl+A'], does: 'Select all that are shown' },
  selectNone: { place: 'pictures', keys: ['Escape'], does: 'Select none' },
  open: { place: 'pictures', keys: ['Enter'], does: 'Open the viewer' },
  write: { place: 'pictures', keys: ['E'], does: 'Write the caption' },
  remove: { place: 'pictures', keys: ['Delete'], does: 'Delete the selected pairs, or this one' },
  bigger: { place: 'pictures', keys: ['+', '='], does: 'Larger cards' },
  smaller: { place: 'pictures', keys: ['-'], does: 'Smaller cards' },
  viewerMove: { place: 'viewer', keys: ['ArrowLeft', 'ArrowRight'], does: 'Show the previous or next pair' },
  viewerTarget: { place: 'viewer', keys: ['0'], does: 'Show the target alone' },
  viewerCompare: { place: 'viewer', keys: ['1', '2', '3', 'M'], does: 'Compare with a control or the mask' },
  viewerHow: { place: 'viewer', keys: ['V'], does: 'Compare in another way' },
  viewerRemove: { place: 'viewer', keys: ['Delete'], does: 'Delete the pair' },
  viewerClose: { place: 'viewer', keys: ['Escape'], does: 'Close the viewer' },
  duplicateKeep: { place: 'duplicates', keys: ['Space'], does: 'Keep the picture, or remove it' },
  duplicateOnly: {
    place: 'duplicates',
    keys: ['1', '2', '3', '4', '5', '6', '7', '8', '9'],
    shown: '1 … 9',
    does: 'Keep this picture alone',
  },
  duplicateCaption: { place: 'duplicates', keys: ['T'], does: 'Keep the caption of the picture' },
  duplicateApply: { place: 'duplicates', keys: ['Enter'], does: 'Apply, and go on' },
  duplicateDifferent: { place: 'duplicates', keys: ['K'], does: 'These are different: do not ask again' },
  duplicateMove: { place: 'duplicates', keys: ['ArrowLeft', 'ArrowRight'], does: 'Go to another picture of the group' },
  duplicateGroup: { place: 'duplicates', keys: ['ArrowUp', 'ArrowDown'], does: 'Go to another group' },
  search: { place: 'page', keys: ['/'], does: 'Search' },
  sort: { place: 'page', keys: ['S'], does: 'Sort' },
  workbench: { place: 'page', keys: ['G W'], does: 'Go to the workbench' },
  fitness: { place: 'page', keys: ['G F'], does: 'Go to “Fit to train?”' },
  duplicates: { place: 'page', keys: ['G D'], does: 'Go to the duplicates' },
  history: { place: 'page', keys: ['G H'], does: 'Go to the history' },
  train: { place: 'page', keys: ['G T'], does: 'Go to the training' },
  undo: { place: 'page', keys: ['Ctrl+Z'], does: 'Undo the last change to many files' },
  redo: { place: 'page', keys: ['Ctrl+Shift+Z'], does: 'Make it again' },
  sheet: { place: 'page', keys: ['?'], does: 'Show all keys' },
} as const satisfies Record<string, KeyRow>;

export type KeyName = keyof typeof KEY_TABLE;

type KeyPress = Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey'>;

/** A key press as the table writes it, such as `Ctrl+Shift+Enter`. */
export function chordOf({ key, ctrlKey, metaKey, altKey, shiftKey }: KeyPress): string {
  const name = key === ' ' ? 'Space' : key.length === 1 ? key.toUpperCase() : key;
  // A sign such as `?` needs the shift key on some keyboards and not on others.
  const isSign = key.length === 1 && key !== ' ' && key.toLowerCase() === key.toUpperCase();
  return [(ctrlKey || metaKey) && 'Ctrl', altKey && 'Alt', shiftKey && !isSign && 'Shift', name]
    .filter(Boolean)
    .join('+');
}

/** What a key press does in a place; `undefined` if nothing. */
export function keyNameOf(press: KeyPress, place: KeyPlace, before = ''): KeyName | undefined {
  const chord = chordOf(press);
  const rows = Object.entries(KEY_TABLE) as [KeyName, KeyRow][];
  const bound = (text: string) => rows.find(([, row]) => row.place === place && row.keys.includes(text))?.[0];
  return (before === '' ? undefined : bound(`${before} ${chord}`)) ?? bound(chord);
}

const SIGNS: Readonly<Record<string, string>> = {
  ArrowLeft: '←',
  ArrowRight: '→',
  ArrowUp: '↑',
  ArrowDown: '↓',
  Escape: 'Esc',
  Delete: 'Del',
};

/** A key as a person reads it: `Ctrl+→`, `G then F`. */
export function keyText(keys: string): string {
  const parts = keys.split(/(?<=.)([+ ])(?=.)/);
  return parts.map((part) => (part === ' ' ? ' then ' : (SIGNS[part] ?? part))).join('');
}

/** A tooltip: what it is, and its key. */
export function withKey(words: string, name: KeyName): string {
  return `${words} (${keyText(KEY_TABLE[name].keys[0] ?? '')})`;
}

/** Handlers of keys. One that returns `false` leaves the key to the browser. */
type KeyHandlers = Readonly<Partial<Record<KeyName, (event: KeyboardEvent) => unknown>>>;

/** The time in which the second key of a sequence follows. */
const SEQUENCE_MS = 1500;

let prefix = { chord: '', at: 0 };

/** Handles keys of the page while no text is typed and no dialog is open. */
export function useKeys(handlers: KeyHandlers): void {
  const onKeyDown = useEffectEvent((event: KeyboardEvent) => {
    if (event.defaultPrevented || event.isComposing || isTyping(event.target) || isDialogOpen()) return;
    const before = event.timeStamp - prefix.at < SEQUENCE_MS ? prefix.chord : '';
    // The page first: `G T` is not `T`.
    for (const place of ['page', 'duplicates', 'pictures'] as const) {
      const name = keyNameOf(event, place, before);
      const handle = name && handlers[name];
      if (handle === undefined || handle(event) === false) continue;
      event.preventDefault();
      return;
    }
  });
  useEffect(() => {
    const handle = (event: KeyboardEvent) => onKeyDown(event);
    document.addEventListener('keydown', handle);
    return () => document.removeEventListener('keydown', handle);
  }, []);
}

/** Remembers the first key of a sequence, after all handlers have seen it. Starts once, with the page. */
export function rememberSequences(): void {
  addEventListener('keydown', (event) => {
    prefix = { chord: chordOf(event), at: event.timeStamp };
  });
}
