import type { Compilable, CompiledQuery } from 'kysely';
import { ITEMS_PER_PIECE, MAX_ITEMS_AT_ONCE, type Pieces } from '../../pieces.js';
import type { RowsOf } from './database.js';
import { objectOf, openForReading, rollBackIfOpen, type SqliteFile } from './sqlite-file.js';

/**
 * Reads in one transaction, which sees one snapshot while other processes write (https://sqlite.org/isolation.html).
 *
 * @param maxCharacters of all rows as JSON; also limits the rows of each statement to `MAX_ITEMS_AT_ONCE`
 * @returns `undefined` if there are more
 */
export function readSnapshot<const S extends readonly Compilable<unknown>[]>(
  file: SqliteFile,
  statements: S,
  maxCharacters: number | undefined,
): RowsOf<S> | undefined {
  file.run('begin');
  try {
    if (maxCharacters === undefined) return statements.map((each) => rowsOf(file, each.compile())) as RowsOf<S>;
    const answers: unknown[][] = [];
    let left = maxCharacters;
    for (const statement of statements) {
      const text = shortTextOf(file, statement.compile(), left);
      if (text === undefined) return undefined;
      left -= text.json.length;
      answers.push(parsed(text));
    }
    return answers as RowsOf<S>;
  } finally {
    rollBackIfOpen(file);
  }
}

/** Rows as one JSON text, of an array for each. It represents the types of our columns, text, integers and null, without loss. */
interface RowsText {
  readonly columns: readonly string[];
  readonly json: string;
}

function parsed({ columns, json }: RowsText): unknown[] {
  return (JSON.parse(json) as unknown[][]).map((row) => objectOf(columns, row));
}

/** Reads the rows of a statement as one text, which for many rows takes half the time of fetching each value. */
function rowsOf(file: SqliteFile, { sql, parameters }: CompiledQuery): unknown[] {
  const { columns } = file.prepare(sql);
  const asJson = file.prepare(`select json_group_array(${arrayOf(columns)}) as text from (${sql})`);
  const [{ text: json }] = asJson.all(parameters) as [{ text: string }];
  return parsed({ columns, json });
}

/** Reads no more rows than `MAX_ITEMS_AT_ONCE`, and none after `maxCharacters`; `undefined` if there are more. */
function shortTextOf(
  file: SqliteFile,
  { sql, parameters }: CompiledQuery,
  maxCharacters: number,
): RowsText | undefined {
  const { columns } = file.prepare(sql);
  const texts: string[] = [];
  let characters = 0;
  for (const { text } of file.prepare(`select ${arrayOf(columns)} as text from (${sql})`).iterate(parameters)) {
    texts.push(text as string);
    characters += (text as string).length;
    if (characters > maxCharacters || texts.length > MAX_ITEMS_AT_ONCE) return undefined;
  }
  return { columns, json: `[${texts.join()}]` };
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
        for (const row of parsed({ columns, json: `[${texts.join()}]` })) rows.push(row);
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
