import { isBelow, type Size } from '../../../src/dataset/buckets.js';
import { countOf } from '../../ui/format.js';
import { Figure } from './figure.js';
import { cellsOf } from './size-cells.js';

const HEIGHT = 300;
const LEFT = 42;
const BELOW = 34;
const ABOVE = 10;
const RIGHT = 12;

interface SizeScatterProps {
  readonly sizes: readonly Size[];
  readonly resolution: number;
}

/** Plots width and height of every image on logarithmic axes. Images below the dashed line can't fill the resolution. */
export function SizeScatter({ sizes, resolution }: SizeScatterProps) {
  const cells = cellsOf(sizes);
  const sides = sizes.flatMap(({ width, height }) => [Math.log2(width), Math.log2(height)]);
  const target = Math.log2(resolution);
  const low = Math.floor(reduceOf(Math.min, sides, target) * 2 - 0.5) / 2;
  const high = Math.ceil(reduceOf(Math.max, sides, target) * 2 + 0.5) / 2;
  const below = sizes.filter((size) => isBelow(size, resolution)).length;
  const ticks = Array.from({ length: Math.floor(high) - Math.ceil(low) + 1 }, (_, step) => Math.ceil(low) + step);
  return (
    <Figure
      title="Sizes"
      summary={`${countOf(cells.length, 'size')} of ${countOf(sizes.length, 'image')}; ${below} with fewer pixels than ${resolution} × ${resolution}.`}
      height={HEIGHT}
      table={{
        head: ['Width', 'Height', 'Images', `Fills ${resolution}`],
        rows: cells.map(({ width, height, count }) => [
          width,
          height,
          count,
          isBelow({ width, height }, resolution) ? 'no' : 'yes',
        ]),
      }}
    >
      {(width) => {
        const x = (log: number) => LEFT + ((log - low) / (high - low)) * (width - LEFT - RIGHT);
        const y = (log: number) => HEIGHT - BELOW - ((log - low) / (high - low)) * (HEIGHT - BELOW - ABOVE);
        // On two logarithmic axes, all sizes of one area lie on a straight line.
        const [first, last] = [Math.max(low, 2 * target - high), Math.min(high, 2 * target - low)];
        return (
          <>
            {ticks.map((log) => (
              <g key={log} className="fill-muted text-[11px]">
                <line x1={x(log)} x2={x(log)} y1={ABOVE} y2={y(low)} className="stroke-line" />
                <line x1={LEFT} x2={width - RIGHT} y1={y(log)} y2={y(log)} className="stroke-line" />
                <text x={x(log)} y={HEIGHT - 18} textAnchor="middle">
                  {2 ** log}
                </text>
                <text x={LEFT - 6} y={y(log) + 4} textAnchor="end">
                  {2 ** log}
                </text>
              </g>
            ))}
            <text x={width - RIGHT} y={HEIGHT - 3} textAnchor="end" className="fill-muted text-[11px]">
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
            {cells.map(({ width: across, height: down, count }) => (
              <circle
                key={`${across}x${down}`}
                cx={x(Math.log2(across))}
                cy={y(Math.log2(down))}
                r={Math.min(14, 3.5 + 1.2 * Math.log2(count))}
                fillOpacity={0.65}
                className={isBelow({ width: across, height: down }, resolution) ? 'fill-warn' : 'fill-accent'}
              >
                <title>{`${across} × ${down}: ${countOf(count, 'image')}`}</title>
              </circle>
            ))}
          </>
        );
      }}
    </Figure>
  );
}

/** `Math.min(...values)` would fail for a large dataset: the number of arguments is limited. */
function reduceOf(pick: (a: number, b: number) => number, values: readonly number[], first: number): number {
  return values.reduce((a, b) => pick(a, b), first);
}
