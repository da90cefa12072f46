import type { Compilable, CompiledQuery } from 'kysely';
import { ITEMS_PER_PIECE, MAX_ITEMS_AT_ONCE, type Pieces } from '../../pieces.js';
import type { RowsOf } from './database.js';
import { objectOf, openForReading, rollBackIfOpen, type SqliteFile } from './sqlite-file.js';

/** Of a statement, are read one by one. Beyond that, to measure all and then to read them at once takes half the time. */
const MAX_SINGLE_ROWS = 200;

/**
 * Reads in one transaction, which sees one snapshot while other processes write (https://sqlite.org/isolation.html).
 *
 * @param maxTextBytes of all rows; also limits the rows of each statement to `MAX_ITEMS_AT_ONCE`
 * @returns `undefined` if there are more
 */
export function readSnapshot<const S extends readonly Compilable<unknown>[]>(
  file: SqliteFile,
  statements: S,
  maxTextBytes: number | undefined,
): RowsOf<S> | undefined {
  file.run('begin');
  try {
    if (maxTextBytes === undefined) return statements.map((each) => rowsOf(file, each.compile())) as RowsOf<S>;
    const answers: unknown[][] = [];
    let left = maxTextBytes;
    for (const statement of statements) {
      const short = shortRowsOf(file, statement.compile(), left);
      if (short === undefined) return undefined;
      left -= short.textBytes;
      answers.push(short.rows);
    }
    return answers as RowsOf<S>;
  } finally {
    rollBackIfOpen(file);
  }
}

/**
 * Parses rows from one JSON text, of an array for each. It represents the types of our columns, text, integers and null, without loss.
 */
function parsed(columns: readonly string[], json: string): unknown[] {
  return (JSON.parse(json) as unknown[][]).map((row) => objectOf(columns, row));
}

/** Reads the rows of a statement as one text, which for many rows takes half the time of fetching each value. */
function rowsOf(file: SqliteFile, { sql, parameters }: CompiledQuery): unknown[] {
  const { columns } = file.prepare(sql);
  const asJson = file.prepare(`select json_group_array(${arrayOf(columns)}) as text from (${sql})`);
  const [{ text: json }] = asJson.all(parameters) as [{ text: string }];
  return parsed(columns, json);
}

/** Reads no rows if there are more than `MAX_ITEMS_AT_ONCE`, or if they have more text than `maxTextBytes`. */
function shortRowsOf(
  file: SqliteFile,
  statement: CompiledQuery,
  maxTextBytes: number,
): { rows: unknown[]; textBytes: number } | undefined {
  const { sql, parameters } = statement;
  const { columns } = file.prepare(sql);
  const texts: string[] = [];
  for (const { text } of file.prepare(`select ${arrayOf(columns)} as text from (${sql})`).iterate(parameters)) {
    if (texts.push(text as string) <= MAX_SINGLE_ROWS) continue;
    const { rows, textBytes } = measure(file, statement);
    const isShort = rows <= MAX_ITEMS_AT_ONCE && textBytes <= maxTextBytes;
    return isShort ? { rows: rowsOf(file, statement), textBytes } : undefined;
  }
  const json = `[${texts.join()}]`;
  return json.length > maxTextBytes ? undefined : { rows: parsed(columns, json), textBytes: json.length };
}

/** Counts the rows of a statement and the bytes of their text, without reading long texts. */
function measure(file: SqliteFile, { sql, parameters }: CompiledQuery): { rows: number; textBytes: number } {
  const { textColumns } = file.prepare(sql);
  // Reads the header of a row alone (https://sqlite.org/lang_corefunc.html#octet_length).
  const lengths = ['0', ...textColumns.map((column) => `ifnull(octet_length("${column}"), 0)`)].join(' + ');
  const rows = `select * from (${sql}) limit ${MAX_ITEMS_AT_ONCE + 1}`;
  const measured = file.prepare(`select count(*) as rows, total(${lengths}) as "textBytes" from (${rows})`);
  return (measured.all(parameters) as [{ rows: number; textBytes: number }])[0];
}

function arrayOf(columns: readonly string[]): string {
  return `json_array(${columns.map((column) => `"${column}"`).join(', ')})`;
}

/**
 * Reads one snapshot with pauses, on a connection of its own: others read and write meanwhile, which WAL allows
 * (https://sqlite.org/wal.html#concurrency).
 */
export async function readInPieces<const S extends readonly Compilable<unknown>[]>(
  path: string,
  statements: S,
  { pause }: Pieces,
): Promise<RowsOf<S>> {
  const file = openForReading(path);
  try {
    file.run('begin');
    const answers: unknown[][] = [];
    for (const statement of statements) {
      const { sql, parameters } = statement.compile();
      const { columns } = file.prepare(sql);
      const texts: string[] = [];
      const rows: unknown[] = [];
      const parse = () => {
        for (const row of parsed(columns, `[${texts.join()}]`)) rows.push(row);
        texts.length = 0;
      };
      for (const { text } of file.prepare(`select ${arrayOf(columns)} as text from (${sql})`).iterate(parameters)) {
        texts.push(text as string);
        if (texts.length < ITEMS_PER_PIECE) continue;
        parse();
        await pause();
      }
      parse();
      answers.push(rows);
    }
    return answers as RowsOf<S>;
  } finally {
    file.close();
  }
}
