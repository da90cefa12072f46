import { type ReactNode, useId, useState } from 'react';
import { numberOf } from '../../ui/format.js';

/** The table shows no more rows than this. */
const MAX_ROWS = 300;

interface FigureTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

interface FigureProps {
  readonly title: string;
  /** The chart in a sentence, for screen readers. */
  readonly summary: string;
  /** In CSS pixels. */
  readonly height: number;
  /** Room at the left of the chart for labels, in CSS pixels. */
  readonly left?: number;
  /** Room at the right. */
  readonly right?: number;
  readonly table: FigureTable;
  /** Elements of SVG with horizontal positions in percent, so that text has the same size at any width. */
  readonly children: ReactNode;
}

/** A chart with a title, and its numbers as a table on demand. */
export function Figure({ title, summary, height, left = 0, right = 0, table, children }: FigureProps) {
  const [isTable, setTable] = useState(false);
  const id = useId();
  return (
    <figure className="flex min-w-0 flex-col gap-2">
      <figcaption className="flex items-baseline gap-3 text-sm">
        <span className="mr-auto font-medium">{title}</span>
        <button
          type="button"
          aria-expanded={isTable}
          aria-controls={id}
          aria-label={`${title} as a table`}
          onClick={() => setTable(!isTable)}
          className="cursor-pointer py-1 text-muted underline hover:text-text"
        >
          {isTable ? 'Hide the table' : 'As a table'}
        </button>
      </figcaption>
      <div style={{ paddingLeft: left, paddingRight: right }}>
        <svg
          role="img"
          aria-label={`${title}. ${summary}`}
          width="100%"
          height={height}
          className="block overflow-visible"
        >
          {children}
        </svg>
      </div>
      <div id={id} hidden={!isTable}>
        {isTable && <Table title={title} {...table} />}
      </div>
    </figure>
  );
}

function Table({ title, head, rows }: FigureTable & { title: string }) {
  return (
    <section
      // biome-ignore lint/a11y/noNoninteractiveTabindex: scrolled by keyboard too
      tabIndex={0}
      aria-label={`${title}, table`}
      className="max-h-72 overflow-auto rounded-lg border border-line"
    >
      <table className="w-full text-left text-sm tabular-nums">
        <thead>
          <tr>
            {head.map((name) => (
              <th key={name} scope="col" className="sticky top-0 bg-raised px-3 py-1.5 font-medium">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, MAX_ROWS).map((row) => (
            <tr key={row.join(' ')} className="border-t border-line">
              {row.map((cell, column) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: columns do not change
                <td key={column} className="px-3 py-1">
                  {typeof cell === 'number' ? numberOf(cell) : cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > MAX_ROWS && (
        <p className="border-t border-line px-3 py-1.5 text-sm text-muted">
          and {numberOf(rows.length - MAX_ROWS)} more rows
        </p>
      )}
    </section>
  );
}
