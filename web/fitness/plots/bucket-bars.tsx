import type { Size } from '../../../src/dataset/buckets.js';
import { capitalized, countOf, numberOf } from '../../ui/format.js';
import { Figure } from './figure.js';

const MAX_ROWS = 14;

/** The height of a row, in CSS pixels. */
const ROW = 24;

/** A batch of this size repeats the images of a smaller bucket. */
const FEW = 3;

interface BucketBarsProps {
  readonly title: string;
  readonly noun: string;
  /** Sorted by count, descending. */
  readonly buckets: readonly (Size & { readonly count: number })[];
}

/** A bar chart of the buckets that the trainer will make. */
export function BucketBars({ title, noun, buckets }: BucketBarsProps) {
  const maxCount = buckets[0]?.count ?? 1;
  const few = buckets.filter(({ count }) => count < FEW);
  const shown = buckets.slice(0, MAX_ROWS);
  const hidden = buckets.length - shown.length;
  const total = buckets.reduce((sum, { count }) => sum + count, 0);
  return (
    <div className="flex flex-col gap-2">
      <Figure
        title={title}
        summary={`${countOf(buckets.length, 'bucket')} of ${countOf(total, noun)}; the largest has ${maxCount}, and ${few.length} have one or two.`}
        height={Math.max(1, shown.length) * ROW}
        left={96}
        right={56}
        table={{
          head: ['Bucket', capitalized(`${noun}s`), 'Share'],
          rows: buckets.map(({ width, height, count }) => [
            `${width} × ${height}`,
            count,
            `${((100 * count) / total).toFixed(1)} %`,
          ]),
        }}
      >
        {shown.map(({ width, height, count }, row) => {
          const length = `${Math.max(1, (100 * count) / maxCount)}%`;
          return (
            <g key={`${width}x${height}`} transform={`translate(0 ${row * ROW})`} className="text-xs">
              <text x={-10} y={16} textAnchor="end" className="fill-text">
                {width} × {height}
              </text>
              <rect
                y={4}
                width={length}
                height={ROW - 8}
                rx={3}
                className={count < FEW ? 'fill-warn' : 'fill-accent'}
              />
              <text x={length} dx={8} y={16} className="fill-muted">
                {numberOf(count)}
              </text>
            </g>
          );
        })}
      </Figure>
      {hidden > 0 && <p className="text-sm text-muted">and {countOf(hidden, 'smaller bucket')}, in the table</p>}
      {few.length > 0 && (
        <p className="text-sm text-warn">
          {few.length === 1 ? 'One bucket has' : `${numberOf(few.length)} buckets have`} only one or two {noun}s. A
          larger batch repeats them, so they count more than others.
        </p>
      )}
    </div>
  );
}
