import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, type Ref, useImperativeHandle, useRef } from 'react';

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
  /** Whether a line is around the list. */
  readonly isFramed?: boolean;
  readonly children: (item: T) => ReactNode;
}

/** A list of rows, of any length. */
export function LongList<T>({ isFramed = false, ...props }: LongListProps<T>) {
  const list = props.items.length > MAX_FULL_ROWS ? <ScrolledList {...props} /> : <FullList {...props} />;
  return isFramed ? <div className="rounded-lg border border-line bg-panel">{list}</div> : list;
}

function FullList<T>({ label, items, children }: LongListProps<T>) {
  return (
    <ul aria-label={label}>
      {items.map((item, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: rows have no state of their own
        <li key={index} className={ROW}>
          {children(item)}
        </li>
      ))}
    </ul>
  );
}

const ROW = 'border-t border-line first:border-t-0';

function ScrolledList<T>({ label, items, height = 'max-h-96', handle, children }: LongListProps<T>) {
  const frame = useRef<HTMLElement>(null);
  const virtual = useVirtualizer({
    count: items.length,
    getScrollElement: () => frame.current,
    estimateSize: () => 56,
    overscan: 5,
  });
  useImperativeHandle(handle, () => ({ show: (index) => virtual.scrollToIndex(index) }));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: makes it scrollable by keyboard
    <section ref={frame} tabIndex={0} className={`${height} overflow-y-auto`}>
      <ul aria-label={label} className="relative" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map(({ index, start }) => (
          <li
            key={index}
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
