/** One row of the result. */
export interface Row {
  readonly what: string;
  readonly measured: string;
  /** Measured in the same run. */
  readonly reference: string;
  /** `undefined` if it could not be measured. */
  readonly ratio: number | undefined;
  readonly target: string;
  readonly isMet: boolean | undefined;
}

type Bound = { readonly atLeast: number } | { readonly atMost: number };

/** A row with a target for its ratio. */
export function rowWithTarget(
  row: { what: string; measured: string; reference: string; ratio: number },
  bound: Bound,
): Row {
  const isLower = 'atLeast' in bound;
  return {
    ...row,
    target: isLower ? `≥ ${bound.atLeast}` : `≤ ${bound.atMost}`,
    isMet: isLower ? row.ratio >= bound.atLeast : row.ratio <= bound.atMost,
  };
}

/** A row without a verdict: there is no target, or this machine can't show it. */
export function rowWithoutTarget(row: Pick<Row, 'what' | 'measured' | 'reference' | 'ratio'>, target = '–'): Row {
  return { ...row, target, isMet: undefined };
}

/** A row that can't be measured on this machine. */
export function rowNotMeasured(what: string, why: string, target: string): Row {
  return { what, measured: why, reference: '–', ratio: undefined, target, isMet: undefined };
}

const HEADINGS = ['what', 'measured', 'reference', 'ratio', 'target', ''];

/** Formats the rows as an aligned Markdown table. */
export function tableOf(rows: readonly Row[]): string {
  const lines = rows.map((row) => [
    row.what,
    row.measured,
    row.reference,
    row.ratio === undefined ? '–' : row.ratio.toFixed(2),
    row.target,
    row.isMet === undefined ? '–' : row.isMet ? 'ok' : 'short',
  ]);
  const widths = HEADINGS.map((_, column) => Math.max(...[HEADINGS, ...lines].map((line) => line[column]!.length), 3));
  const lineOf = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  return [lineOf(HEADINGS), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...lines.map(lineOf)].join(
    '\n',
  );
}

/** `12.3`, `0.0123`, `1,234`: three significant digits. */
export function formatFigure(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}
