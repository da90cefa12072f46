/** One line of the result. */
export interface Row {
  readonly what: string;
  readonly measured: string;
  /** What it is compared with, in the same run. */
  readonly reference: string;
  /** `undefined` where it could not be measured. */
  readonly ratio: number | undefined;
  readonly target: string;
  readonly isMet: boolean | undefined;
}

type Bound = { readonly atLeast: number } | { readonly atMost: number };

/** A line whose verdict is that of its ratio. */
export function judged(row: { what: string; measured: string; reference: string; ratio: number }, bound: Bound): Row {
  const isLower = 'atLeast' in bound;
  return {
    ...row,
    target: isLower ? `≥ ${bound.atLeast}` : `≤ ${bound.atMost}`,
    isMet: isLower ? row.ratio >= bound.atLeast : row.ratio <= bound.atMost,
  };
}

/** A line that is told without a verdict: nobody has promised anything, or the machine can't show it. */
export function told(row: Pick<Row, 'what' | 'measured' | 'reference' | 'ratio'>, target = '–'): Row {
  return { ...row, target, isMet: undefined };
}

/** A line that this machine can't fill in. */
export function unmeasured(what: string, why: string, target: string): Row {
  return { what, measured: why, reference: '–', ratio: undefined, target, isMet: undefined };
}

const HEADINGS = ['what', 'measured', 'reference', 'ratio', 'target', ''];

/** The lines as a Markdown table that reads well in a terminal too. */
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

/** `12.3`, `0.0123`, `1,234`: three digits that mean something. */
export function figure(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}
