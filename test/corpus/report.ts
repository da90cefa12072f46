import { type CorpusFile, FORMATS, type Format } from './corpus-file.js';
import type { Verdict } from './inspection.js';
import type { Truth } from './judge.js';

export interface Judged {
  readonly file: CorpusFile;
  readonly truth: Truth;
  readonly verdict: Verdict;
  /** Of a clip: with ffmpeg. */
  readonly isDecoded: boolean;
}

const DAMAGED = ['trainer fails', 'fewer frames', 'reported'] as const;

/** Files of a class that were found, and all of that class. */
interface Cell {
  /** Refused, or of a type that the trainer ignores and warned of. */
  readonly found: number;
  readonly of: number;
}

export interface MatrixRow {
  readonly format: Format;
  readonly isDecoded: boolean;
  readonly damaged: Readonly<Record<(typeof DAMAGED)[number], Cell>>;
  /** Undamaged originals that every reader accepts. */
  readonly intact: Cell;
  /** Accepted clips that carry no warning that their frames were not decoded. */
  readonly unwarned: number;
}

export function matrixOf(judged: readonly Judged[]): MatrixRow[] {
  return FORMATS.flatMap((format) => [false, true].map((isDecoded) => ({ format, isDecoded }))).flatMap((row) => {
    const own = judged.filter((one) => one.file.format === row.format && one.isDecoded === row.isDecoded);
    if (own.length === 0) return [];
    const cell = (isIn: (one: Judged) => boolean): Cell => {
      const files = own.filter(isIn);
      return { found: files.filter(({ verdict }) => isFound(verdict)).length, of: files.length };
    };
    const damaged = DAMAGED.map((name) => [name, cell(({ truth }) => truth.class === name)]);
    const isUnwarned = ({ file, verdict }: Judged) => file.format === 'clip' && verdict.ok && !isWarned(verdict);
    return {
      ...row,
      damaged: Object.fromEntries(damaged) as MatrixRow['damaged'],
      intact: cell(isIntact),
      unwarned: own.filter(isUnwarned).length,
    };
  });
}

const isWarned = ({ warnings }: Verdict): boolean => warnings.some(({ code }) => code === 'NOT_FULLY_CHECKED');

const isFound = ({ ok, warnings }: Verdict): boolean => !ok || warnings.some(({ code }) => code === 'MAY_BE_DAMAGED');

/** An undamaged file that every reader accepts. A clip made for the corpus is intact, also if a reader lacks its codec. */
function isIntact({ file, truth }: Judged): boolean {
  return file.damage === undefined && (truth.class === 'intact' || file.format === 'clip');
}

/** Files of a damaged class that were accepted. */
export const missesOf = (judged: readonly Judged[]): Judged[] =>
  judged.filter(({ truth, verdict }) => (DAMAGED as readonly string[]).includes(truth.class) && !isFound(verdict));

/** Intact files that were refused, or of which a warning says that they may be damaged. */
export const falseRefusalsOf = (judged: readonly Judged[]): Judged[] =>
  judged.filter((one) => isIntact(one) && isFound(one.verdict));

const shown = ({ found, of }: Cell): string =>
  of === 0 ? '–' : `${found} of ${of} (${((100 * found) / of).toFixed(1)} %)`;

export function tableOf(matrix: readonly MatrixRow[]): string {
  const rows = matrix.map(({ format, isDecoded, damaged, intact }) => [
    format === 'clip' ? `clip, ${isDecoded ? 'with' : 'without'} ffmpeg` : format,
    ...DAMAGED.map((name) => shown(damaged[name])),
    `${intact.found} of ${intact.of}`,
  ]);
  const head = ['', "the trainer's reader fails", 'fewer frames are read', 'another reader reports damage'];
  const lines = [[...head, 'intact, refused'], Array(5).fill('---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** The least share of damaged files that must be refused, by column. */
const GOALS: Readonly<Partial<Record<Format, readonly [fails: number, fewer: number, reported: number]>>> = {
  jpeg: [0.99, 0, 0.98],
  png: [0.99, 0, 0],
  webp: [0.99, 0, 0],
  avif: [0.99, 0, 0],
};
const GOAL_FOR_DECODED_CLIPS = 0.97;

/** Says which goals are missed, in sentences. */
export function missedGoals(matrix: readonly MatrixRow[]): string[] {
  const missed: string[] = [];
  for (const { format, isDecoded, damaged, intact, unwarned } of matrix) {
    const label = `${format}${isDecoded ? ', with ffmpeg' : ''}`;
    for (const [index, name] of DAMAGED.entries()) {
      const goal = isDecoded ? GOAL_FOR_DECODED_CLIPS : (GOALS[format]?.[index] ?? 0);
      const { found, of } = damaged[name];
      if (found < goal * of) missed.push(`${label}, ${name}: ${found} of ${of} are refused, not ${goal * 100} %`);
    }
    if (intact.found > 0) missed.push(`${label}: ${intact.found} intact files are refused`);
    if (!isDecoded && unwarned > 0) missed.push(`${label}: ${unwarned} files that were not decoded carry no warning`);
  }
  return missed;
}

/** One line for each file: where it is, how it was damaged, what the references and the inspection say. */
export function listOf(judged: readonly Judged[]): string {
  return judged
    .map(({ file, truth, verdict }) => {
      const warnings = verdict.warnings.map(({ code, message }) => (code === 'MAY_BE_DAMAGED' ? message : code));
      const ours = verdict.ok ? `accepted, ${warnings.join(' ')}` : verdict.message;
      const theirs = [truth.class, 'says' in truth ? truth.says : ''];
      return [file.path, file.damage?.kind ?? 'original', ...theirs, ours, file.origin].join('\t');
    })
    .sort()
    .join('\n');
}
