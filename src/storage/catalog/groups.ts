import { sql } from 'kysely';
import type { Micros } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { type Group, MAX_GROUPS, NEW_GROUP } from '../../dataset/groups.js';
import { stemOf } from '../../dataset/media.js';
import { type ChangeFeed, type Database, query, type Statement, type Transaction } from '../database/database.js';
import { type DatasetKeyOfAccount, groupsInRow, rowChunksOf, withDataset } from './rows.js';

export interface GroupChange {
  readonly name: string;
  readonly repeats?: number | undefined;
  readonly isReg?: boolean | undefined;
  /** Names of files in any state, such as a clip that is being checked. */
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

type Change = (
  groups: readonly Group[],
  send: Transaction['send'],
) => Promise<{ readonly groups: readonly Group[]; readonly statements: readonly Statement[] }>;

/**
 * Writes the groups of datasets. A group is an element of `dataset.file_groups`, and its name in the rows of its files, those of the
 * history too. So undo and restore bring files back with their group.
 */
export class Groups {
  readonly #db: Database;
  readonly #changes: ChangeFeed;

  constructor(db: Database, changes: ChangeFeed) {
    this.#db = db;
    this.#changes = changes;
  }

  /**
   * Makes or changes a group.
   *
   * @returns the group with the number of its stored files; `undefined` if the account has no such dataset
   * @throws ServiceError `file_not_found`; `group_not_found` if a new group gets no files; `invalid_field` for too many groups
   */
  async save(
    key: DatasetKeyOfAccount,
    { name, add, remove, ...change }: GroupChange,
    now: Micros,
  ): Promise<(Group & { files: number }) | undefined> {
    const saved = await this.#write(key, now, async (groups, send) => {
      const before = groups.find((group) => group.name === name);
      if (before === undefined && add.length === 0) throw groupNotFound(name, 'Name its files in "add" to make it.');
      const named = await this.#namedAmong(key.id, [...add, ...remove], send);
      const { repeats, isReg } = before ?? NEW_GROUP;
      const group = { name, repeats: change.repeats ?? repeats, isReg: change.isReg ?? isReg };
      const others = groups.filter((each) => each.name !== name && (before !== undefined || named.has(each.name)));
      if (others.length >= MAX_GROUPS) throw tooMany();
      const [past] = await send([
        sql<{ filename: string }>`select distinct filename from past_file where dataset_id = ${key.id}`,
      ]);
      const statements = [
        ...this.#move(key.id, past, { stems: stemsOf(add), to: name }),
        ...this.#move(key.id, past, { stems: stemsOf(remove), to: null, from: name }),
      ];
      return { groups: [...others, group], statements };
    });
    const group = saved?.find((each) => each.name === name);
    return group && { ...group, files: await this.#filesOf(key.id, name) };
  }

  /** Its files stay. @returns false if the account has no such dataset @throws ServiceError `group_not_found` */
  async remove(key: DatasetKeyOfAccount, name: string, now: Micros): Promise<boolean> {
    const left = await this.#write(key, now, async (before) => {
      const groups = before.filter((group) => group.name !== name);
      if (groups.length === before.length) throw groupNotFound(name, 'Its groups are in the status.');
      const statements = ['file', 'past_file'].map(
        (table) =>
          sql`update ${sql.table(table)} set group_name = null where group_name = ${name} and dataset_id = ${key.id}`,
      );
      return { groups, statements };
    });
    return left !== undefined;
  }

  /** Under the lock of the dataset. @returns the groups after the change; `undefined` if the account has no such dataset */
  async #write(
    { id, accountId }: DatasetKeyOfAccount,
    now: Micros,
    change: Change,
  ): Promise<readonly Group[] | undefined> {
    const written = await withDataset(this.#db, { id }, async (row, { send, commit }) => {
      if (row.account_id !== accountId) return undefined;
      const { groups, statements } = await change(groupsInRow(row), send);
      const json = groups.length === 0 ? null : JSON.stringify(groups);
      const update = sql<never>`
        update dataset set file_groups = ${json}, updated_at = ${now}, version = version + 1 where id = ${id}`;
      await commit([...statements, update, ...this.#changes.notification({ datasetId: id })]);
      return groups;
    });
    if (written !== undefined) this.#changes.announce({ datasetId: id });
    return written;
  }

  /** The names of groups that files or past files have, which no deleted file has left over. @throws `file_not_found` */
  async #namedAmong(datasetId: string, filenames: readonly string[], send: Transaction['send']): Promise<Set<string>> {
    const namesIn = (table: 'file' | 'past_file') =>
      sql`select group_name from ${sql.table(table)} where dataset_id = ${datasetId} and group_name is not null`;
    const names = sql<{ group_name: string }>`${namesIn('file')} union ${namesIn('past_file')}`;
    const files = query.selectFrom('file').select('filename').where('dataset_id', '=', datasetId);
    const [named, ...found] = await send([
      names,
      // Stems have an index.
      ...rowChunksOf(filenames).map((chunk) =>
        files.where('stem', 'in', stemsOf(chunk)).where('filename', 'in', chunk),
      ),
    ]);
    const present = new Set(found.flat().map(({ filename }) => filename));
    const missing = filenames.find((filename) => !present.has(filename));
    if (missing !== undefined) {
      throw new ServiceError('file_not_found', `The dataset has no file ${JSON.stringify(missing)}.`);
    }
    return new Set(named.map(({ group_name }) => group_name));
  }

  /** Moves all files of stems into a group or out of one, and those of the history, so that an undo splits no pair. */
  #move(
    datasetId: string,
    past: readonly { filename: string }[],
    { stems, to, from }: { stems: readonly string[]; to: string | null; from?: string },
  ): Statement[] {
    const wanted = new Set(stems);
    const pastNames = past.map(({ filename }) => filename).filter((name) => wanted.has(stemOf(name)));
    const moved = (table: string, column: string, values: readonly string[]) =>
      rowChunksOf(values).map(
        (chunk) => sql`update ${sql.table(table)} set group_name = ${to} where dataset_id = ${datasetId}
          and ${sql.ref(column)} in (${sql.join(chunk)}) ${from === undefined ? sql`` : sql`and group_name = ${from}`}`,
      );
    return [...moved('file', 'stem', stems), ...moved('past_file', 'filename', pastNames)];
  }

  async #filesOf(datasetId: string, name: string): Promise<number> {
    const count = sql<{ files: number }>`
      select count(*) as files from file where dataset_id = ${datasetId} and state = 'stored' and group_name = ${name}`;
    const [[counted]] = await this.#db.read([count]);
    return Number(counted?.files ?? 0);
  }
}

function stemsOf(filenames: readonly string[]): string[] {
  return [...new Set(filenames.map(stemOf))];
}

function groupNotFound(name: string, advice: string): ServiceError {
  return new ServiceError('group_not_found', `The dataset has no group ${JSON.stringify(name)}. ${advice}`);
}

function tooMany(): ServiceError {
  const message = `A dataset has at most ${MAX_GROUPS} groups. Delete one, or put the files into an existing group.`;
  return new ServiceError('invalid_field', message);
}
