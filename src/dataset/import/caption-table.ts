import { parsedJson } from '../../json-text.js';
import { extensionOf, isDatasetFile } from '../media.js';
import { lastPartOf } from './entry-paths.js';

/** Names of columns, as Hugging Face, musubi, LTX and others write them. The first one that has the most values is taken. */
const FILE_COLUMNS = [
  'file_name',
  'image',
  'video',
  'image_path',
  'video_path',
  'media_path',
  'filename',
  'file',
  'path',
  'media',
];
const CAPTION_COLUMNS = [
  'text',
  'caption',
  'prompt',
  'captions',
  'description',
  'long_caption',
  'short_caption',
  'tags',
];

/** A document that names files and their captions. */
export interface CaptionTable {
  readonly path: string;
  readonly columns: readonly string[];
  readonly fileColumn: string;
  readonly captionColumn: string;
  /** A caption may be blank; `undefined` where the table has none. */
  readonly rows: readonly { readonly file: string; readonly caption: string | undefined }[];
  /** Rows that have several captions, of which the first is taken. */
  readonly severalCaptions: number;
  /** Sentences about lines that can't be read. */
  readonly faults: readonly string[];
}

/** Columns to take in tables that have them. */
export interface ColumnChoices {
  readonly fileColumn?: string | undefined;
  readonly captionColumn?: string | undefined;
}

/** Rows of one column for each file of the largest dataset, ten times. Small values take a hundred times their bytes in memory. */
const MAX_VALUES = 2_000_000;

const MAX_COLUMNS = 200;
const MAX_HEADER_LENGTH = 64 * 1024;

/** Without a text it is an empty list. */
type Cell = string | readonly string[];

type Row = ReadonlyMap<string, Cell>;

export const TABLE_EXTENSIONS: readonly string[] = ['.jsonl', '.csv', '.tsv', '.json'];

/** Whether the file may be a table: any `.jsonl`, `.csv` or `.tsv`, and a `.json` of a whole dataset. */
export function isTablePath(path: string): boolean {
  const extension = extensionOf(lastPartOf(path));
  return extension === '.json' ? isDatasetFile(lastPartOf(path)) : TABLE_EXTENSIONS.includes(extension);
}

/**
 * Reads JSON Lines, CSV, or a JSON document: a list of objects, or an object whose keys are names of files.
 *
 * @returns why it is no table of captions, as the end of a sentence, if it is none
 */
export function readCaptionTable(path: string, bytes: Uint8Array, choices: ColumnChoices = {}): CaptionTable | string {
  const text = textOf(bytes);
  if (text === undefined) return 'is not UTF-8. Save it as UTF-8, and import it again.';
  const found = rowsOf(path, text);
  if (found === undefined) return `has more than ${MAX_VALUES.toLocaleString('en')} values.`;
  const { rows, faults } = found;
  const columns = [...new Set(rows.slice(0, 1000).flatMap((row) => [...row.keys()]))].slice(0, MAX_COLUMNS);
  if (rows.length === 0) return faults[0] === undefined ? 'has no rows.' : `has no rows: ${faults[0]}`;
  const listed = `Its columns are ${columns.slice(0, 20).join(', ')}.`;
  const fileColumn = columnOf(rows, columns, choices.fileColumn, FILE_COLUMNS);
  if (fileColumn === undefined) return `has no column with the names of files. ${listed}`;
  const others = columns.filter((column) => column !== fileColumn);
  const captionColumn = columnOf(rows, others, choices.captionColumn, CAPTION_COLUMNS);
  if (captionColumn === undefined) return `has no column with captions. ${listed}`;
  let severalCaptions = 0;
  // A table of images and clips may have a column for each.
  const fileColumns = [fileColumn, ...(fileColumn === choices.fileColumn ? [] : knownIn(others, FILE_COLUMNS))];
  const named = rows.flatMap((row) => {
    const file = fileColumns.flatMap((column) => row.get(column) ?? []).find(Boolean);
    const captions = [row.get(captionColumn) ?? []].flat();
    if (captions.length > 1) severalCaptions++;
    return file === undefined ? [] : [{ file, caption: captions[0] }];
  });
  return { path, columns, fileColumn, captionColumn, rows: named, severalCaptions, faults };
}

function columnOf(
  rows: readonly Row[],
  columns: readonly string[],
  chosen: string | undefined,
  known: readonly string[],
): string | undefined {
  if (chosen !== undefined && columns.includes(chosen)) return chosen;
  const valuesIn = (column: string) => rows.reduce((sum, row) => sum + Number((row.get(column) ?? '').length > 0), 0);
  // The sort is stable: of two, the first known one.
  return knownIn(columns, known)
    .filter((column) => rows.some((row) => [row.get(column) ?? []].flat().length > 0))
    .sort((a, b) => valuesIn(b) - valuesIn(a))[0];
}

function knownIn(columns: readonly string[], known: readonly string[]): string[] {
  return known.flatMap((name) => columns.find((column) => column.trim().toLowerCase() === name) ?? []);
}

/** In UTF-8, with or without a byte order mark. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** `undefined` with more than `MAX_VALUES`. */
function rowsOf(path: string, text: string): { rows: Row[]; faults: string[] } | undefined {
  const extension = extensionOf(path);
  if (extension !== '.jsonl' && extension !== '.json') return rowsOfCsv(text);
  if (valuesIn(text) > MAX_VALUES) return undefined;
  return extension === '.jsonl' ? rowsOfLines(text) : rowsOfDocument(text);
}

/** At most as many values has the JSON. */
function valuesIn(text: string): number {
  let values = 0;
  let isInText = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '\\') at++;
    else if (character === '"') isInText = !isInText;
    else if (character === '\n') {
      isInText = false;
      values++;
    } else if (!isInText && (character === ',' || character === '[' || character === '{')) values++;
  }
  return values;
}

function rowsOfLines(text: string): { rows: Row[]; faults: string[] } {
  const rows: Row[] = [];
  const faults: string[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const row = rowOf(parsedJson(line));
    if (row === undefined) faults.push(`Line ${index + 1} is not a JSON object.`);
    else rows.push(row);
  }
  return { rows, faults };
}

function rowsOfDocument(text: string): { rows: Row[]; faults: string[] } {
  const document = parsedJson(text);
  if (typeof document !== 'object' || document === null) return { rows: [], faults: ['It is not JSON.'] };
  const rows = Array.isArray(document)
    ? document.map(rowOf)
    : Object.entries(document).map(([file, value]) => {
        const own = rowOf(value) ?? new Map([['caption', cellOf(value)]]);
        return new Map([['file', file], ...own]);
      });
  return { rows: rows.filter((row) => row !== undefined), faults: [] };
}

function rowOf(value: unknown): Row | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return new Map(Object.entries(value).map(([column, each]) => [column, cellOf(each)]));
}

function cellOf(value: unknown): Cell {
  if (Array.isArray(value)) return value.filter((each) => typeof each === 'string');
  return typeof value === 'string' ? value : [];
}

/** RFC 4180, with the delimiter that the first line has most: a comma, a semicolon or a tab. */
function rowsOfCsv(text: string): { rows: Row[]; faults: string[] } | undefined {
  const [first = ''] = text.slice(0, MAX_HEADER_LENGTH).split('\n', 1);
  const delimiter = [',', ';', '\t'].reduce((a, b) => (first.split(b).length > first.split(a).length ? b : a));
  const all = recordsOf(text, delimiter);
  if (all === undefined) return undefined;
  const [header = [], ...records] = all;
  const faults: string[] = [];
  const rows = records.flatMap((cells, index) => {
    if (cells.length === 1 && cells[0]?.length === 0) return [];
    if (cells.length > header.length) {
      faults.push(`Row ${index + 2} has ${cells.length} cells, and the header ${header.length}.`);
      return [];
    }
    return [new Map(cells.map((cell, at) => [String(header[at] ?? '').trim(), cell]))];
  });
  return { rows, faults };
}

/** Only a cell in quotes may be blank. `undefined` with more than `MAX_VALUES` cells. */
function recordsOf(text: string, delimiter: string): Cell[][] | undefined {
  const plain = new RegExp(`[^${delimiter}\r\n]*`, 'y');
  const records: Cell[][] = [];
  let cells: Cell[] = [];
  let values = 0;
  for (let at = 0; at <= text.length; ) {
    if (++values > MAX_VALUES) return undefined;
    const end = text[at] === '"' ? endOfQuoted(text, at) : undefined;
    plain.lastIndex = end ?? at;
    // A quote that does not end, and text behind one that does, stay as they are.
    const rest = plain.exec(text)?.[0] ?? '';
    const quoted = end === undefined ? undefined : text.slice(at + 1, end - 1).replaceAll('""', '"');
    cells.push(quoted === undefined && rest === '' ? [] : (quoted ?? '') + rest);
    at = plain.lastIndex;
    if (text[at] !== delimiter) {
      records.push(cells);
      cells = [];
    }
    at += text.startsWith('\r\n', at) ? 2 : 1;
  }
  return records;
}

/** The index after the quote that ends the one at `start`; two in a row are one of the text. */
function endOfQuoted(text: string, start: number): number | undefined {
  let at = text.indexOf('"', start + 1);
  while (at !== -1 && text[at + 1] === '"') at = text.indexOf('"', at + 2);
  return at === -1 ? undefined : at + 1;
}
