import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, type Ref, useImperativeHandle, useLayoutEffect, useRef, useState } from 'react';

/** Longer lists scroll in a frame of their own, and render only the visible rows. */
const MAX_FULL_ROWS = 12;

export interface LongListHandle {
  /** Scrolls a row into view, which may not be rendered. */
  readonly show: (index: number) => void;
}

interface LongListProps<T> {
  readonly label: string;
  readonly items: readonly T[];
  /** A class that sets the height at which the list scrolls. */
  readonly height?: string;
  readonly handle?: Ref<LongListHandle>;
  /** Unlike for all others of the list. Rows with a state of their own, such as a field, need one. */
  readonly keyOf?: (item: T) => string;
  /** Whether a line is around the list. */
  readonly isFramed?: boolean;
  readonly children: (item: T) => ReactNode;
}

/** A list of rows, of any length. */
export function LongList<T>({ isFramed = false, ...props }: LongListProps<T>) {
  const isLong = props.items.length > MAX_FULL_ROWS;
  const [isScrolled, setScrolled] = useState(isLong);
  const frame = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    // All rows are rendered anew then, the one that is written in, too.
    if (frame.current?.contains(document.activeElement) !== true) setScrolled(isLong);
  });
  return (
    <div ref={frame} className={isFramed ? 'rounded-lg border border-line bg-panel' : 'contents'}>
      {isScrolled ? <ScrolledList {...props} /> : <FullList {...props} />}
    </div>
  );
}

function FullList<T>({ label, items, keyOf, children }: LongListProps<T>) {
  return (
    <ul aria-label={label}>
      {items.map((item, index) => (
        <li key={keyOf?.(item) ?? index} className={ROW}>
          {children(item)}
        </li>
      ))}
    </ul>
  );
}

const ROW = 'border-t border-line first:border-t-0';

function ScrolledList<T>({ label, items, height = 'max-h-96', handle, keyOf, children }: LongListProps<T>) {
  const frame = useRef<HTMLElement>(null);
  const virtual = useVirtualizer({
    count: items.length,
    getScrollElement: () => frame.current,
    estimateSize: () => 56,
    overscan: 5,
    getItemKey: (index) => keyOf?.(items[index]!) ?? index,
  });
  useImperativeHandle(handle, () => ({ show: (index) => virtual.scrollToIndex(index) }));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: makes it scrollable by keyboard
    <section ref={frame} tabIndex={0} className={`${height} overflow-y-auto`}>
      <ul aria-label={label} className="relative" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map(({ key, index, start }) => (
          <li
            key={key}
            ref={virtual.measureElement}
            data-index={index}
            aria-setsize={items.length}
            aria-posinset={index + 1}
            className={`absolute inset-x-0 ${index === 0 ? '' : 'border-t border-line'}`}
            style={{ top: start }}
          >
            {children(items[index]!)}
          </li>
        ))}
      </ul>
    </section>
  );
}
