import { isBelow, type Size } from '../../../src/dataset/buckets.js';
import { groupedBy } from '../../../src/dataset/grouped-by.js';
import { countOf } from '../../ui/format.js';
import { Figure } from './figure.js';

const HEIGHT = 300;
const BELOW = 34;
const ABOVE = 10;

/** More dots would be slow to draw and hard to tell apart. */
const MAX_DOTS = 400;

/** Plots width and height of every image on logarithmic axes. Images below the dashed line can't fill the resolution. */
export function SizeScatter({ sizes, resolution }: { sizes: readonly Size[]; resolution: number }) {
  const dots = dotsOf(sizes);
  const sides = sizes.flatMap(({ width, height }) => [Math.log2(width), Math.log2(height)]);
  const target = Math.log2(resolution);
  // `Math.min(...sides)` would fail for a large dataset: the number of arguments is limited.
  const low = Math.floor(sides.reduce((a, b) => Math.min(a, b), target) * 2 - 0.5) / 2;
  const high = Math.ceil(sides.reduce((a, b) => Math.max(a, b), target) * 2 + 0.5) / 2;
  const below = sizes.filter((size) => isBelow(size, resolution)).length;
  const ticks = Array.from({ length: Math.floor(high) - Math.ceil(low) + 1 }, (_, step) => Math.ceil(low) + step);
  const x = (log: number) => `${(100 * (log - low)) / (high - low)}%`;
  const y = (log: number) => HEIGHT - BELOW - ((log - low) / (high - low)) * (HEIGHT - BELOW - ABOVE);
  // On two logarithmic axes, all sizes of one area lie on a straight line.
  const [first, last] = [Math.max(low, 2 * target - high), Math.min(high, 2 * target - low)];
  return (
    <Figure
      title="Sizes"
      summary={`${countOf(dots.length, 'size')} of ${countOf(sizes.length, 'image')}; ${below} with fewer pixels than ${resolution} × ${resolution}.`}
      height={HEIGHT}
      left={42}
      right={12}
      table={{
        head: ['Width', 'Height', 'Images', `Fills ${resolution}`],
        rows: dots.map((dot) => [dot.width, dot.height, dot.count, isBelow(dot, resolution) ? 'no' : 'yes']),
      }}
    >
      {ticks.map((log) => (
        <g key={log} className="fill-muted text-[11px]">
          <line x1={x(log)} x2={x(log)} y1={ABOVE} y2={y(low)} className="stroke-line" />
          <line x1={0} x2="100%" y1={y(log)} y2={y(log)} className="stroke-line" />
          <text x={x(log)} y={HEIGHT - 18} textAnchor="middle">
            {2 ** log}
          </text>
          <text x={-6} y={y(log) + 4} textAnchor="end">
            {2 ** log}
          </text>
        </g>
      ))}
      <text x="100%" y={HEIGHT - 3} textAnchor="end" className="fill-muted text-[11px]">
        width in pixels; height upward
      </text>
      <line
        x1={x(first)}
        y1={y(2 * target - first)}
        x2={x(last)}
        y2={y(2 * target - last)}
        strokeWidth={1.5}
        strokeDasharray="5 4"
        className="stroke-text"
      />
      {dots.map((dot) => (
        <circle
          key={`${dot.width}x${dot.height}`}
          cx={x(Math.log2(dot.width))}
          cy={y(Math.log2(dot.height))}
          r={Math.min(14, 3.5 + 1.2 * Math.log2(dot.count))}
          fillOpacity={0.65}
          className={isBelow(dot, resolution) ? 'fill-warn' : 'fill-accent'}
        >
          <title>{`${dot.width} × ${dot.height}: ${countOf(dot.count, 'image')}`}</title>
        </circle>
      ))}
    </Figure>
  );
}

/** The sizes with their counts, the most frequent first; of too many sizes, similar ones together. */
function dotsOf(sizes: readonly Size[]): (Size & { count: number })[] {
  // Sizes are rounded to so many steps per doubling; finer steps are tried first.
  for (const steps of [Number.POSITIVE_INFINITY, 16, 8, 4]) {
    const dots = countsOf(sizes, steps);
    if (dots.length <= MAX_DOTS) return dots;
  }
  return countsOf(sizes, 2).slice(0, MAX_DOTS);
}

function countsOf(sizes: readonly Size[], steps: number): (Size & { count: number })[] {
  const rounded = (pixels: number) =>
    Number.isFinite(steps) ? Math.round(2 ** (Math.round(Math.log2(pixels) * steps) / steps)) : pixels;
  const groups = groupedBy(sizes, ({ width, height }) => `${rounded(width)}x${rounded(height)}`);
  return [...groups.values()]
    .map((group) => ({ width: rounded(group[0]!.width), height: rounded(group[0]!.height), count: group.length }))
    .sort((a, b) => b.count - a.count);
}
