import type { Size } from '../../../src/dataset/buckets.js';
import { capitalized, countOf, numberOf } from '../../ui/format.js';
import { Figure } from './figure.js';

const MAX_ROWS = 14;

// In CSS pixels.
const ROW = 24;
const LABEL = 96;
const COUNT = 56;

/** A batch of this size repeats the images of a smaller bucket. */
const FEW = 3;

export interface CountedBucket extends Size {
  readonly count: number;
}

interface BucketBarsProps {
  readonly title: string;
  readonly noun: string;
  /** Sorted by count, descending. */
  readonly buckets: readonly CountedBucket[];
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
        table={{
          head: ['Bucket', capitalized(`${noun}s`), 'Share'],
          rows: buckets.map(({ width, height, count }) => [
            `${width} × ${height}`,
            count,
            `${((100 * count) / total).toFixed(1)} %`,
          ]),
        }}
      >
        {(width) =>
          shown.map((bucket, row) => {
            const length = Math.max(3, ((width - LABEL - COUNT) * bucket.count) / maxCount);
            return (
              <g key={`${bucket.width}x${bucket.height}`} transform={`translate(0 ${row * ROW})`} className="text-xs">
                <text x={LABEL - 10} y={16} textAnchor="end" className="fill-text">
                  {bucket.width} × {bucket.height}
                </text>
                <rect
                  x={LABEL}
                  y={4}
                  width={length}
                  height={ROW - 8}
                  rx={3}
                  className={bucket.count < FEW ? 'fill-warn' : 'fill-accent'}
                />
                <text x={LABEL + length + 8} y={16} className="fill-muted">
                  {numberOf(bucket.count)}
                </text>
              </g>
            );
          })
        }
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
