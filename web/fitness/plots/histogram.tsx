import { numberOf } from '../../ui/format.js';
import { Figure } from './figure.js';

const HEIGHT = 150;
const ABOVE = 18;
const BELOW = 22;

interface Bin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** Counts values in bins of equal width. Values beyond the range count in the first or the last bin. */
export function binsOf(values: readonly number[], range: { from: number; to: number; bins: number }): Bin[] {
  const { from, to, bins } = range;
  const counts = new Array<number>(bins).fill(0);
  const step = (to - from) / bins;
  for (const value of values) {
    const index = Math.min(Math.max(Math.floor((value - from) / step), 0), bins - 1);
    counts[index]!++;
  }
  return counts.map((count, index) => ({ from: from + index * step, to: from + (index + 1) * step, count }));
}

interface HistogramProps {
  readonly title: string;
  readonly summary: string;
  readonly bins: readonly Bin[];
  readonly ticks: readonly { readonly at: number; readonly label: string }[];
  /** The heads of the table's columns. */
  readonly head: readonly [values: string, counts: string];
  /** The first column of the table, such as `20 to 22 %`. */
  readonly rangeOf: (bin: Bin) => string;
  /** Draws a bin in the warning colour. */
  readonly isHighlighted?: (bin: Bin) => boolean;
  /** Values at which a vertical line is drawn. */
  readonly thresholds?: readonly number[];
}

/** Draws the distribution of values as bars. */
export function Histogram(props: HistogramProps) {
  const { title, summary, bins, ticks, head, rangeOf, isHighlighted, thresholds = [] } = props;
  const [from, to] = [bins[0]?.from ?? 0, bins.at(-1)?.to ?? 1];
  const maxCount = Math.max(1, ...bins.map(({ count }) => count));
  const floor = HEIGHT - BELOW;
  const rows = bins.filter(({ count }) => count > 0).map((bin) => [rangeOf(bin), bin.count]);
  const percentOf = (value: number) => (100 * (value - from)) / (to - from);
  const x = (value: number) => `${percentOf(value)}%`;
  const heightOf = (count: number) => (count === 0 ? 0 : Math.max(2, ((floor - ABOVE) * count) / maxCount));
  return (
    <Figure title={title} summary={summary} height={HEIGHT} table={{ head, rows }}>
      <text x={0} y={11} className="fill-muted text-[11px]">
        {numberOf(maxCount)}
      </text>
      <line x1={0} x2="100%" y1={ABOVE} y2={ABOVE} strokeDasharray="2 4" className="stroke-line" />
      {bins.map((bin) => (
        <rect
          key={bin.from}
          x={x(bin.from)}
          width={`${90 / bins.length}%`}
          y={floor - heightOf(bin.count)}
          height={heightOf(bin.count)}
          className={isHighlighted?.(bin) ? 'fill-warn' : 'fill-accent'}
        />
      ))}
      <line x1={0} x2="100%" y1={floor + 0.5} y2={floor + 0.5} className="stroke-line" />
      {thresholds.map((at) => (
        <line
          key={at}
          x1={x(at)}
          x2={x(at)}
          y1={ABOVE}
          y2={floor}
          strokeWidth={2}
          strokeDasharray="4 3"
          className="stroke-text"
        />
      ))}
      {ticks.map(({ at, label }) => (
        <text key={at} x={x(at)} y={HEIGHT - 6} textAnchor={anchorAt(percentOf(at))} className="fill-muted text-[11px]">
          {label}
        </text>
      ))}
    </Figure>
  );
}

/** Keeps a label within the picture at its edges. */
function anchorAt(percent: number): 'start' | 'middle' | 'end' {
  return percent < 3 ? 'start' : percent > 97 ? 'end' : 'middle';
}
