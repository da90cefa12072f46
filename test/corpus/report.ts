import { type CorpusFile, FORMATS, type Format } from './corpus-file.js';
import type { Truth, Verdict } from './judge.js';

export interface Judged {
  readonly file: CorpusFile;
  readonly truth: Truth;
  readonly verdict: Verdict;
}

const DAMAGED = ['trainer fails', 'fewer frames', 'reported'] as const;

/** Refused and all files of a class. */
interface Cell {
  readonly refused: number;
  readonly of: number;
}

export interface MatrixRow {
  readonly format: Format;
  readonly damaged: Readonly<Record<(typeof DAMAGED)[number], Cell>>;
  /** Undamaged originals that every reader accepts. */
  readonly intact: Cell;
  /** Damaged copies that every reader accepts. */
  readonly harmless: Cell;
  readonly unclear: number;
}

export function matrixOf(judged: readonly Judged[]): MatrixRow[] {
  return FORMATS.filter((format) => judged.some(({ file }) => file.format === format)).map((format) => {
    const own = judged.filter(({ file }) => file.format === format);
    const cell = (isIn: (one: Judged) => boolean): Cell => {
      const files = own.filter(isIn);
      return { refused: files.filter(({ verdict }) => !verdict.ok).length, of: files.length };
    };
    const [fails, fewer, reported] = DAMAGED.map((name) => cell(({ truth }) => truth.class === name));
    return {
      format,
      damaged: { 'trainer fails': fails!, 'fewer frames': fewer!, reported: reported! },
      intact: cell(isIntact),
      harmless: cell(({ file, truth }) => truth.class === 'intact' && file.damage !== undefined),
      unclear: own.filter(({ truth }) => truth.class === 'unclear').length,
    };
  });
}

/** An undamaged file that every reader accepts. A clip made for the corpus is intact, also if a reader lacks its codec. */
function isIntact({ file, truth }: Judged): boolean {
  return file.damage === undefined && (truth.class === 'intact' || file.format === 'clip');
}

/** Files of a damaged class that were accepted. */
export const missesOf = (judged: readonly Judged[]): Judged[] =>
  judged.filter(({ truth, verdict }) => (DAMAGED as readonly string[]).includes(truth.class) && verdict.ok);

/** Intact files that were refused. */
export const falseRefusalsOf = (judged: readonly Judged[]): Judged[] =>
  judged.filter((one) => isIntact(one) && !one.verdict.ok);

/** Damaged copies that every reader accepts and the inspection refuses. */
export const strictRefusalsOf = (judged: readonly Judged[]): Judged[] =>
  judged.filter(({ file, truth, verdict }) => truth.class === 'intact' && file.damage !== undefined && !verdict.ok);

const shown = ({ refused, of }: Cell): string =>
  of === 0 ? '–' : `${refused} of ${of} (${((100 * refused) / of).toFixed(1)} %)`;

export function tableOf(matrix: readonly MatrixRow[]): string {
  const rows = matrix.map(({ format, damaged, intact, harmless }) => [
    format,
    ...DAMAGED.map((name) => shown(damaged[name])),
    `${intact.refused} of ${intact.of}`,
    `${harmless.refused} of ${harmless.of}`,
  ]);
  const head = ['', "the trainer's reader fails", 'fewer frames are read', 'another reader reports damage'];
  const lines = [[...head, 'intact, refused', 'damaged without effect, refused'], Array(6).fill('---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** One line for each file: where it is, how it was damaged, what the references and the inspection say. */
export function listOf(judged: readonly Judged[]): string {
  return judged
    .map(({ file, truth, verdict }) => {
      const ours = verdict.ok ? `accepted, ${verdict.warnings.map(({ code }) => code).join(' ')}` : verdict.message;
      return `${file.path}\t${file.damage?.kind ?? 'original'}\t${truth.class}\t${'says' in truth ? truth.says : ''}\t${ours}\t${file.origin}`;
    })
    .sort()
    .join('\n');
}
