import { type KeyboardEvent, type RefObject, useId, useState } from 'react';
import { keyNameOf } from '../../keys.js';
import { type Completion, completionAt } from '../tags/complete.js';
import { useCaptionLoop } from './caption-loop.js';

interface Offer extends Completion {
  readonly index: number;
  readonly place: { readonly left: number; readonly top: number };
}

/** Offers tags of the dataset below a field while one is typed. `onText` takes the text after one was accepted. */
export function useCompletion(area: RefObject<HTMLTextAreaElement | null>, onText: (text: string) => void) {
  const loop = useCaptionLoop();
  const id = useId();
  const [offer, setOffer] = useState<Offer>();
  const close = () => setOffer(undefined);
  const accept = (tag: string) => {
    if (offer === undefined || area.current === null) return;
    // The browser keeps the caret behind the tag, and the step of its own undo.
    area.current.setRangeText(tag, offer.from, offer.to, 'end');
    onText(area.current.value);
    close();
  };
  return {
    /** Looks for tags after a change of the text. */
    update: ({ value, selectionStart, selectionEnd }: HTMLTextAreaElement) => {
      const found =
        selectionStart === selectionEnd ? completionAt(value, selectionStart, loop?.options.tags ?? []) : undefined;
      const { left = 0, bottom = 0 } = area.current?.getBoundingClientRect() ?? {};
      setOffer(found && { ...found, index: 0, place: { left, top: bottom } });
    },
    close,
    /** Returns whether the key was for the list. */
    onKeyDown: (event: KeyboardEvent): boolean => {
      const name = offer && keyNameOf(event.nativeEvent, 'completion');
      if (offer === undefined || name === undefined) return false;
      const { options, index } = offer;
      if (name === 'completeAccept') accept(options[index]!);
      else if (name === 'completeClose') close();
      else {
        const step = event.key === 'ArrowDown' ? 1 : options.length - 1;
        setOffer({ ...offer, index: (index + step) % options.length });
      }
      event.preventDefault();
      event.stopPropagation();
      return true;
    },
    attributes: {
      'aria-autocomplete': 'list',
      'aria-controls': offer && id,
      'aria-activedescendant': offer && `${id}-${offer.index}`,
    } as const,
    list: offer && <OfferedTags id={id} offer={offer} onAccept={accept} />,
  };
}

/** In the top layer: no frame cuts it off, and no dialog covers it. */
function OfferedTags({ id, offer, onAccept }: { id: string; offer: Offer; onAccept: (tag: string) => void }) {
  const { options, index, place } = offer;
  return (
    <div
      ref={(list) => {
        if (list === null) return;
        if (!list.matches(':popover-open')) list.showPopover();
        const { offsetHeight, offsetWidth } = list;
        list.style.left = `${Math.max(0, Math.min(place.left, innerWidth - offsetWidth))}px`;
        list.style.top = `${Math.min(place.top, innerHeight - offsetHeight)}px`;
      }}
      id={id}
      popover="manual"
      role="listbox"
      aria-label="Tags of this dataset"
      className="fixed m-0 max-w-80 rounded-lg border border-line bg-panel p-1 text-sm text-text shadow-lg"
    >
      {options.map((tag, at) => (
        <div
          key={tag}
          id={`${id}-${at}`}
          role="option"
          tabIndex={-1}
          aria-selected={at === index}
          // The field keeps the focus.
          onPointerDown={(event) => {
            event.preventDefault();
            onAccept(tag);
          }}
          className="flex min-h-8 cursor-pointer items-center rounded-md px-2 wrap-anywhere aria-selected:bg-accent aria-selected:text-on-accent pointer-coarse:min-h-11"
        >
          {tag}
        </div>
      ))}
    </div>
  );
}
