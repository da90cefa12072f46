import { useEffect, useEffectEvent } from 'react';

/** Where a key works, as the sheet of keys says it. */
export const KEY_PLACES = {
  caption: 'In a caption',
  completion: 'While tags are offered in a caption',
  pictures: 'Among the pictures',
  tags: 'On a tag of the list',
  decisions: 'While a tag is decided',
  viewer: 'In the viewer',
  compare: 'Comparing pictures',
  duplicates: 'Among duplicates',
  review: 'Reviewing proposals of a model',
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

const DIGITS = ['1', '2', '3', '4', '5', '6', '7', '8', '9'] as const;

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
  completeMove: { place: 'completion', keys: ['ArrowDown', 'ArrowUp'], does: 'Choose another tag' },
  completeAccept: { place: 'completion', keys: ['Enter', 'ArrowRight'], does: 'Take the tag' },
  completeClose: { place: 'completion', keys: ['Escape'], does: 'Offer none' },
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
  addTag: { place: 'pictures', keys: ['T'], does: 'Add a tag to the selected pairs, or this one' },
  removeTag: { place: 'pictures', keys: ['R'], does: 'Remove a tag from them' },
  copyTo: { place: 'pictures', keys: ['Y'], does: 'Copy them to another dataset' },
  moveTo: { place: 'pictures', keys: ['M'], does: 'Move them to another dataset' },
  pinnedTag: { place: 'pictures', keys: DIGITS, shown: '1 … 9', does: 'Add or remove the tag of the key' },
  bigger: { place: 'pictures', keys: ['+', '='], does: 'Larger cards' },
  smaller: { place: 'pictures', keys: ['-'], does: 'Smaller cards' },
  compare: { place: 'pictures', keys: ['C'], does: 'Compare 2 to 4 selected pictures' },
  tagMove: { place: 'tags', keys: ['ArrowUp', 'ArrowDown'], does: 'Go to the next tag' },
  tagRename: { place: 'tags', keys: ['F2'], does: 'Rename it, or merge it into another' },
  tagRemove: { place: 'tags', keys: ['Delete'], does: 'Remove it from all captions' },
  tagAdd: { place: 'tags', keys: ['+'], does: 'Add it to the selected pairs' },
  tagPin: { place: 'tags', keys: DIGITS, shown: '1 … 9', does: 'Pin it to the key' },
  decideYes: { place: 'decisions', keys: ['Y'], does: 'The picture has the tag' },
  decideNo: { place: 'decisions', keys: ['N'], does: 'It does not have it' },
  decideBack: { place: 'decisions', keys: ['ArrowLeft'], does: 'Go back' },
  decideSkip: { place: 'decisions', keys: ['ArrowRight'], does: 'Go on without a decision' },
  viewerMove: { place: 'viewer', keys: ['ArrowLeft', 'ArrowRight'], does: 'Show the previous or next pair' },
  viewerWrite: { place: 'viewer', keys: ['E'], does: 'Write its caption' },
  viewerZoom: { place: 'viewer', keys: ['Z'], does: '100 % at the pointer, and back' },
  viewerCrop: { place: 'viewer', keys: ['B'], does: 'What the trainer crops to' },
  viewerFilmstrip: { place: 'viewer', keys: ['F'], does: 'Filmstrip' },
  viewerFacts: { place: 'viewer', keys: ['I'], does: 'Facts' },
  viewerMask: { place: 'viewer', keys: ['M'], does: 'The mask, and back' },
  viewerTarget: { place: 'viewer', keys: ['0'], does: 'Show the target alone' },
  viewerCompare: { place: 'viewer', keys: ['1', '2', '3'], does: 'Compare with a control' },
  viewerHow: { place: 'viewer', keys: ['V'], does: 'Compare in another way' },
  viewerRemove: { place: 'viewer', keys: ['Delete'], does: 'Delete the pair' },
  viewerClose: { place: 'viewer', keys: ['Escape'], does: 'Close the viewer' },
  compareKeep: { place: 'compare', keys: ['1', '2', '3', '4'], does: 'Keep this one, and delete the others' },
  compareZoom: { place: 'compare', keys: ['Z'], does: '100 % at the pointer, and back' },
  compareClose: { place: 'compare', keys: ['Escape'], does: 'Stop comparing' },
  duplicateKeep: { place: 'duplicates', keys: ['Space'], does: 'Keep the picture, or remove it' },
  duplicateOnly: {
    place: 'duplicates',
    keys: DIGITS,
    shown: '1 … 9',
    does: 'Keep this picture alone',
  },
  duplicateCaption: { place: 'duplicates', keys: ['T'], does: 'Keep the caption of the picture' },
  duplicateApply: { place: 'duplicates', keys: ['Enter'], does: 'Apply, and go on' },
  duplicateDifferent: { place: 'duplicates', keys: ['K'], does: 'These are different: do not ask again' },
  duplicateMove: { place: 'duplicates', keys: ['ArrowLeft', 'ArrowRight'], does: 'Go to another picture of the group' },
  duplicateGroup: { place: 'duplicates', keys: ['ArrowUp', 'ArrowDown'], does: 'Go to another group' },
  reviewAccept: { place: 'review', keys: ['A'], does: 'Accept the proposal' },
  reviewEdit: { place: 'review', keys: ['E'], does: 'Edit it, then accept it' },
  reviewDismiss: { place: 'review', keys: ['D'], does: 'Dismiss it' },
  reviewNext: { place: 'review', keys: ['J'], does: 'Go to the next one' },
  reviewPrevious: { place: 'review', keys: ['K'], does: 'Go to the previous one' },
  reviewAcceptAll: { place: 'review', keys: ['Shift+A'], does: 'Accept all that wait here' },
  search: { place: 'page', keys: ['/'], does: 'Search' },
  sort: { place: 'page', keys: ['S'], does: 'Sort' },
  workbench: { place: 'page', keys: ['G W'], does: 'Go to the workbench' },
  fitness: { place: 'page', keys: ['G F'], does: 'Go to “Fit to train?”' },
  duplicates: { place: 'page', keys: ['G D'], does: 'Go to the duplicates' },
  proposals: { place: 'page', keys: ['G P'], does: 'Go to the proposals of a model' },
  history: { place: 'page', keys: ['G H'], does: 'Go to the history' },
  train: { place: 'page', keys: ['G T'], does: 'Go to the training' },
  palette: { place: 'page', keys: ['Ctrl+K'], does: 'Go to a dataset, page, tag or file, or do something by its name' },
  undo: { place: 'page', keys: ['Ctrl+Z'], does: 'Undo the last change to many files' },
  redo: { place: 'page', keys: ['Ctrl+Shift+Z'], does: 'Make it again' },
  sheet: { place: 'page', keys: ['?'], does: 'Show all keys' },
} as const satisfies Record<string, KeyRow>;

export type KeyName = keyof typeof KEY_TABLE;

const ROWS = Object.entries(KEY_TABLE) as [KeyName, KeyRow][];

/** They decide about what is shown, and show the next: a key that is held does so once. */
const ONCE: ReadonlySet<KeyName> = new Set([
  ...(['decideYes', 'decideNo', 'decideBack', 'decideSkip', 'duplicateApply', 'duplicateDifferent'] as const),
  ...(['reviewAccept', 'reviewDismiss', 'viewerRemove'] as const),
]);

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
  const bound = (text: string) => ROWS.find(([, row]) => row.place === place && row.keys.includes(text))?.[0];
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

/** Handlers of keys. One that returns `false` leaves the key to the browser; one that is `undefined` does nothing now. */
type KeyHandlers = Readonly<Partial<Record<KeyName, ((event: KeyboardEvent) => unknown) | undefined>>>;

/** The handlers of each part of the page that is shown. */
const bindings = new Set<() => KeyHandlers>();

/** The keys that do something here: in a viewer its own alone. Moves, digits, Space and Escape are left out: their keys are their names. */
export function verbsNow(): KeyName[] {
  const viewer = viewerPlace();
  const places: readonly KeyPlace[] = viewer === undefined ? PAGE_PLACES : [viewer];
  const handled = [...bindings].flatMap((handlers) => Object.entries(handlers()));
  const bound = new Set(handled.flatMap(([name, handle]) => (handle === undefined ? [] : name)));
  const isNamed = ({ place, keys: [key = ''] }: KeyRow) =>
    places.includes(place) && !/Space|Escape|Arrow|^[1-9]$/.test(key);
  return ROWS.filter(([name, row]) => bound.has(name) && isNamed(row)).map(([name]) => name);
}

/** Does what a key does, without its key. */
export function runVerb(name: KeyName): void {
  for (const handlers of [...bindings]) handlers()[name]?.(new KeyboardEvent('keydown'));
}

/** Where keys work while no dialog is open. The page first: its sequences end with keys that do something else by themselves. */
const PAGE_PLACES: readonly KeyPlace[] = ['page', 'duplicates', 'review', 'pictures'];

/** The time in which the second key of a sequence follows. */
const SEQUENCE_MS = 1500;

let prefix = { chord: '', at: 0 };

/** The text field that had the last key, if that was a letter. */
let written: { readonly field: Element; at: number } | undefined;

/** What the page does below a viewer too, but not while tags are decided. */
const BELOW_A_VIEWER: ReadonlySet<KeyName> = new Set(['undo', 'redo', 'sheet', 'palette']);

/**
 * Handles keys while no text is typed: those of the page while no dialog is open, and those of a viewer, which names its place in
 * `data-key-place`, while no other dialog is open over it.
 */
export function useKeys(handlers: KeyHandlers): void {
  const onKeyDown = useEffectEvent((event: KeyboardEvent) => {
    const viewer = viewerPlace();
    // Captured in a viewer, because a focused clip would seek with the arrow keys.
    if ((event.eventPhase === Event.CAPTURING_PHASE) !== (viewer !== undefined)) return;
    if (event.defaultPrevented || event.isComposing || isOfField(event) || isOfLostField(event)) return;
    if (viewer === undefined && isDialogOpen()) return;
    const before = event.timeStamp - prefix.at < SEQUENCE_MS ? prefix.chord : '';
    const places = viewer === undefined ? PAGE_PLACES : viewer === 'decisions' ? [viewer] : [viewer, 'page' as const];
    for (const place of places) {
      const name = keyNameOf(event, place, before);
      const isOff = viewer !== undefined && place === 'page' && !(name && BELOW_A_VIEWER.has(name));
      const handle = name && handlers[name];
      if (isOff || name === undefined || handle === undefined) continue;
      if (!(event.repeat && ONCE.has(name)) && handle(event) === false) continue;
      event.preventDefault();
      return;
    }
  });
  const current = useEffectEvent(() => handlers);
  useEffect(() => {
    const handle = (event: KeyboardEvent) => onKeyDown(event);
    const binding = () => current();
    bindings.add(binding);
    document.addEventListener('keydown', handle);
    document.addEventListener('keydown', handle, { capture: true });
    return () => {
      bindings.delete(binding);
      document.removeEventListener('keydown', handle);
      document.removeEventListener('keydown', handle, { capture: true });
    };
  }, []);
}

/** The place of the viewer that is open, without a dialog over it. */
function viewerPlace(): KeyPlace | undefined {
  const [dialog, over] = document.querySelectorAll<HTMLElement>('dialog[open]');
  return over === undefined ? (dialog?.dataset.keyPlace as KeyPlace | undefined) : undefined;
}

/** Whether a key is for the focused field: a text field takes all keys, a slider and a choice those that move it. */
function isOfField({ target, key }: KeyboardEvent): boolean {
  const type = target instanceof HTMLInputElement ? target.type : undefined;
  if (type === 'radio') return key === ' ' || key.startsWith('Arrow');
  return type === 'range' ? key.length > 1 : isTyping(target);
}

/** Whether a key belongs to words that are being written in a field, although another client's change has removed the field. */
function isOfLostField({ key, timeStamp }: KeyboardEvent): boolean {
  if (written?.field.isConnected !== false || key.length > 1 || timeStamp - written.at > SEQUENCE_MS) return false;
  written.at = timeStamp;
  return true;
}

/** Remembers the first key of a sequence, after all handlers have seen it. Starts once, with the page. */
export function rememberSequences(): void {
  const rememberField = (event: KeyboardEvent) => {
    const isLetter = event.key.length === 1 && !event.ctrlKey && !event.metaKey;
    if (isOfField(event)) written = isLetter ? { field: event.target as Element, at: event.timeStamp } : undefined;
  };
  addEventListener('keydown', rememberField, { capture: true });
  addEventListener('keydown', (event) => {
    prefix = { chord: chordOf(event), at: event.timeStamp };
  });
}

/** Whether a key press on this element types text. */
function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.matches('textarea, select, input:not([type=checkbox])'))
  );
}

/** Whether a modal dialog is open. */
export function isDialogOpen(): boolean {
  return document.querySelector('dialog[open]') !== null;
}
