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
  /** Accepted clips that carry no warning that their frames were not decoded. */
  readonly unwarned: number;
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
      unwarned: own.filter(({ file, verdict }) => file.format === 'clip' && verdict.ok && !isWarned(verdict)).length,
    };
  });
}

const isWarned = ({ warnings }: Verdict): boolean => warnings.some(({ code }) => code === 'NOT_FULLY_CHECKED');

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

/** The least share of damaged files that must be refused, by column. */
const GOALS: Readonly<Partial<Record<Format, readonly [fails: number, fewer: number, reported: number]>>> = {
  jpeg: [0.99, 0, 0.98],
  png: [0.99, 0, 0],
  webp: [0.99, 0, 0],
  avif: [0.99, 0, 0],
  clip: [0.9, 0, 0],
};
const GOAL_FOR_DECODED_CLIPS = 0.97;

/** Says which goals are missed, in sentences. */
export function missedGoals(matrix: readonly MatrixRow[], { decodesClips }: { decodesClips: boolean }): string[] {
  const missed: string[] = [];
  for (const { format, damaged, intact, unwarned } of matrix) {
    for (const [index, name] of DAMAGED.entries()) {
      const goal = format === 'clip' && decodesClips ? GOAL_FOR_DECODED_CLIPS : (GOALS[format]?.[index] ?? 0);
      const { refused, of } = damaged[name];
      if (refused < goal * of) missed.push(`${format}, ${name}: ${refused} of ${of} are refused, not ${goal * 100} %`);
    }
    if (intact.refused > 0) missed.push(`${format}: ${intact.refused} intact files are refused`);
    if (!decodesClips && unwarned > 0)
      missed.push(`${format}: ${unwarned} files that were not decoded carry no warning`);
  }
  return missed;
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
