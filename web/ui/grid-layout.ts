import { useLayoutEffect, useState } from 'react';

export interface GridLayout {
  readonly columns: number;
  /** Pixels per rem, which depends on the text size of the browser. */
  readonly rem: number;
  /** The distance from the top of the page, in pixels. */
  readonly top: number;
}

export interface CardSizes {
  readonly gapRem: number;
  readonly leastWidthRem: number;
}

/** Measures how many columns of cards fit, and where the grid begins. `undefined` before the first measurement. */
export function useGridLayout(
  grid: { readonly current: HTMLElement | null },
  { gapRem, leastWidthRem }: CardSizes,
): GridLayout | undefined {
  const [layout, setLayout] = useState<GridLayout>();
  useLayoutEffect(() => {
    const element = grid.current;
    if (element === null) return;
    const measure = () => {
      const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
      const width = element.clientWidth / rem;
      const columns = Math.max(1, Math.floor((width + gapRem) / (leastWidthRem + gapRem)));
      const top = element.getBoundingClientRect().top + window.scrollY;
      setLayout((known) =>
        known?.columns === columns && known.rem === rem && known.top === top ? known : { columns, rem, top },
      );
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, [grid, gapRem, leastWidthRem]);
  return layout;
}
