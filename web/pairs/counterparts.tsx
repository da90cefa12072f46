import type { LinkSlot } from '../../src/dataset/dataset.js';
import type { Counterpart } from '../live/counterparts.js';
import { slotWord } from '../live/slot-words.js';
import { Preview } from './media.js';

interface CounterpartsProps {
  readonly counterparts: readonly Counterpart[];
  /** The stem of the pair. */
  readonly stem: string;
  readonly tabIndex: number;
  readonly isPlaying: boolean;
  readonly onCompare: (slot: LinkSlot) => void;
}

/** The controls and the mask of a pair as small pictures, and an empty frame for each that is missing. */
export function Counterparts({ counterparts, stem, tabIndex, isPlaying, onCompare }: CounterpartsProps) {
  const slots = counterparts.map(({ slot }) => slot);
  return (
    <ul aria-label={`Controls and mask of ${stem}`} className="flex h-full w-18 shrink-0 flex-col gap-px bg-raised">
      {counterparts.map((counterpart) => (
        <li key={counterpart.slot} className="relative min-h-0 grow basis-0">
          <SmallPicture {...{ counterpart, tabIndex, isPlaying, onCompare }} word={slotWord(counterpart.slot, slots)} />
        </li>
      ))}
    </ul>
  );
}

interface SmallPictureProps extends Pick<CounterpartsProps, 'tabIndex' | 'isPlaying' | 'onCompare'> {
  readonly counterpart: Counterpart;
  /** `control`, `control 2` or `mask`. */
  readonly word: string;
}

function SmallPicture({ counterpart, word, tabIndex, isPlaying, onCompare }: SmallPictureProps) {
  const { slot, id, name, file, fault, filenames } = counterpart;
  if (file === undefined) {
    if (fault !== 'missing') return null;
    return (
      <span
        title={`${name} has no ${word} of this name`}
        className="flex size-full items-center justify-center border-2 border-dashed border-bad p-1 text-center text-xs font-medium text-bad"
      >
        No {word}
      </span>
    );
  }
  const note = noteOf(counterpart);
  return (
    <>
      <button
        type="button"
        data-compares
        tabIndex={tabIndex}
        aria-label={`Compare with the ${word} ${file.filename}`}
        title={`${word}: ${filenames.join(', ')} of ${name}`}
        onClick={() => onCompare(slot)}
        className="block size-full cursor-pointer overflow-hidden -outline-offset-2"
      >
        <Preview datasetId={id} file={file} isPlaying={isPlaying} />
      </button>
      {note !== undefined && (
        <span className="pointer-events-none absolute inset-x-0 bottom-0 bg-warn-soft px-1 text-center text-xs font-medium text-warn">
          {note}
        </span>
      )}
    </>
  );
}

/** What is wrong with the pair, as briefly as a small picture has room for. */
function noteOf({ fault, filenames }: Counterpart): string | undefined {
  switch (fault) {
    case 'ambiguous':
      return `${filenames.length} files`;
    case 'misfit':
      return 'Wrong size';
    case 'stretched':
      return 'Stretched';
    case 'clip':
    case 'missing':
    case 'extra':
    case undefined:
      return undefined;
  }
}
