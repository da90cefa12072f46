import { type RawBuilder, sql } from 'kysely';
import { stemGroupsOf } from '../../dataset/counts.js';
import type { Dataset, DatasetFile, DatasetLink, LinkSlot, Micros, Role, StoredFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { FileKind } from '../../dataset/media.js';
import { type LinkedFile, type LinkPairs, linkPairsOf } from '../../dataset/pairs/links.js';
import { isPairFile, PAIR_FAULTS, pairErrorsIn } from '../../dataset/pairs/pair-faults.js';
import { requireRoleOfSlot, requireTraining, slotText } from '../../dataset/pairs/roles.js';
import { type Database, query, type Statement, type Transaction } from '../database/database.js';
import type { ChangeOptions } from './file-changes.js';
import {
  type DatasetKeyOfAccount,
  datasetRecordOf,
  type DatasetRow,
  fileOf,
  type FileRow,
  insertAll,
  jsonReader,
  LINKED,
  rowChunksOf,
  STORED,
  storedFilesOf,
  type StoredRow,
  unlinkedDatasetOf,
} from './rows.js';
import { enqueueAnnouncements } from './webhooks.js';

export interface NewLink {
  readonly slot: LinkSlot;
  readonly linkedId: string;
}

export type LinkingDataset = Pick<Dataset, 'id' | 'name'>;

/** Remembered stems and problems of all datasets, a few hundred bytes each. */
const MAX_REMEMBERED = 100_000;

/** A link without problems takes a kilobyte or two. */
const SIZE_OF_LINK = 10;

interface LinksOptions extends ChangeOptions {
  /** Limits concurrent reads of all files of a dataset. */
  readonly readMany: <T>(accountId: string, read: () => Promise<T>) => Promise<T>;
}

/**
 * The links between datasets. Derives from all files of linked datasets whether their pairs are complete, and remembers it until a
 * change.
 */
export class Links {
  readonly #db: Database;
  readonly #options: LinksOptions;
  readonly #remembered = new StateCache<readonly LinkPairs[]>(MAX_REMEMBERED);

  constructor(db: Database, options: LinksOptions) {
    this.#db = db;
    this.#options = options;
  }

  /** By name; of all, or of those `among` some ids. */
  async linkingTo(
    datasetId: string,
    { among = null, limit = Number.MAX_SAFE_INTEGER }: { among?: readonly string[] | null; limit?: number } = {},
  ): Promise<LinkingDataset[]> {
    const isAmong = among === null ? sql`` : sql`and dataset.id in (${sql.join(among)})`;
    const linking = sql<LinkingDataset>`${linkingTo(datasetId)} ${isAmong} order by name limit ${sql.lit(limit)}`;
    return (await this.#db.read([linking]))[0];
  }

  /** Replaces all links. @returns false if there is no such dataset @throws ServiceError `wrong_role`, `dataset_not_found` */
  async replace(
    key: DatasetKeyOfAccount,
    { links, now }: { links: readonly NewLink[]; now: Micros },
  ): Promise<boolean> {
    const { transact } = this.#db;
    const { captionGrace, changes } = this.#options;
    const newIds = links.map(({ linkedId }) => linkedId);
    const changed = await transact({ isDurable: true }, async ({ send, commit }) => {
      const locked = await lockLinks(send, { ...key, otherIds: newIds });
      if (locked === undefined) return undefined;
      requireLinkable(locked, links);
      if (isSame(locked.links, links)) return [];
      const { id } = locked.row;
      const rows = links.map(({ slot, linkedId }) => ({ dataset_id: id, slot, linked_id: linkedId }));
      const linked = links.length === 0 ? LINKED.none : LINKED.from;
      const touched = [...locked.linked.keys()];
      await commit([
        query.deleteFrom('link').where('dataset_id', '=', id),
        ...insertAll('link', rows),
        sql`update dataset set linked = ${linked}, updated_at = ${now}, version = version + 1 where id = ${id}`,
        ...markLinkedTo(touched),
        enqueueAnnouncements({ datasetId: id, isLinkedTo: false, dueAt: now + captionGrace }),
        ...[id, ...touched].flatMap((datasetId) => changes.notification({ datasetId })),
      ]);
      return [id, ...touched];
    });
    for (const datasetId of changed ?? []) changes.announce({ datasetId });
    return changed !== undefined;
  }

  async withLinks(rows: readonly DatasetRow[]): Promise<Dataset[]> {
    const ids = rows.filter(({ linked }) => linked === LINKED.from).map(({ id }) => id);
    const links: LinkRow[] = [];
    for (const chunk of rowChunksOf(ids)) {
      links.push(...(await this.#db.read([linksOf(sql.join(chunk))]))[0]);
    }
    const byTarget = new Map(ids.map((id): [string, LinkRow[]] => [id, []]));
    for (const link of links) byTarget.get(link.target_id)?.push(link);
    const datasets: Dataset[] = [];
    for (const row of rows) datasets.push(await this.#judged({ row, links: byTarget.get(row.id) ?? [] }));
    return datasets;
  }

  async #judged(rows: Rows): Promise<Dataset> {
    const { id, account_id: accountId } = rows.row;
    const remembered = this.#recall(rows);
    if (remembered !== undefined) return datasetOf(rows, remembered);
    return this.#options.readMany(accountId, async () => {
      // Another request may have read it meanwhile.
      const earlier = this.#recall(rows);
      if (earlier !== undefined) return datasetOf(rows, earlier);
      const found = await readFiles(this.#db, { accountId, id }, { withLinkedFiles: true, isForPairs: true });
      // It may be deleted meanwhile.
      return found === undefined ? unlinkedDatasetOf(rows.row) : datasetOf(found, this.#judge(found));
    });
  }

  /** All from one snapshot, so that the counts agree with the files. */
  async contents(key: DatasetKeyOfAccount): Promise<DatasetContents | undefined> {
    const isKnown = this.#remembered.has(key.id);
    let found = await readFiles(this.#db, key, { withLinkedFiles: !isKnown });
    if (found !== undefined && isKnown && this.#recall(found) === undefined) {
      found = await readFiles(this.#db, key, { withLinkedFiles: true });
    }
    if (found === undefined) return undefined;
    const pairs = this.#recall(found) ?? this.#judge(found);
    return { dataset: datasetOf(found, pairs), files: found.files, pairs };
  }

  #recall({ row, links }: Rows): readonly LinkPairs[] | undefined {
    return links.length === 0 ? [] : this.#remembered.get(row.id, stateOf({ row, links }));
  }

  #judge(found: FoundFiles): readonly LinkPairs[] {
    const media = found.files.filter(isSound).filter(isPairFile);
    const target = { name: found.row.name, groups: stemGroupsOf(media) };
    const pairs = linksIn(found).map((link) => linkPairsOf(target, link, found.linkedFiles.get(link.slot) ?? []));
    this.#remembered.set(found.row.id, stateOf(found), { value: pairs, size: sizeOf(pairs) });
    return pairs;
  }
}

export function linkingTo(linkedId: string) {
  return sql<LinkingDataset>`select dataset.id, dataset.name
    from link join dataset on dataset.id = link.dataset_id where link.linked_id = ${linkedId}`;
}

type LockedLinks = NonNullable<Awaited<ReturnType<typeof lockLinks>>>;

/** Locks a dataset, then the linked ones and the `otherIds`, in the order of ids. `undefined` without such a dataset. */
export async function lockLinks(
  send: Transaction['send'],
  { accountId, id, otherIds = [] }: DatasetKeyOfAccount & { otherIds?: readonly string[] },
) {
  const all = query.selectFrom('dataset').selectAll().orderBy('id').forNoKeyUpdate();
  const [[row], links] = await send([
    all.where('id', '=', id),
    query.selectFrom('link').select(['slot', 'linked_id']).where('dataset_id', '=', id),
  ]);
  if (row === undefined || row.account_id !== accountId) return undefined;
  const ids = [...new Set([...links.map(({ linked_id }) => linked_id), ...otherIds])];
  const [linked] = ids.length === 0 ? [[]] : await send([all.where('id', 'in', ids)]);
  /** The linked datasets and the `otherIds`. */
  const byId = new Map(linked.map((each) => [each.id, each]));
  return { row, links, linked: byId };
}

/** Writes whether other datasets link to these. */
export function markLinkedTo(ids: readonly string[]): Statement<never>[] {
  const isLinkedTo = sql`exists (select 1 from link where link.linked_id = dataset.id)`;
  const linked = sql`case when ${isLinkedTo} then ${sql.lit(LINKED.to)} else ${sql.lit(LINKED.none)} end`;
  return rowChunksOf(ids).map(
    (chunk) => sql<never>`update dataset set linked = ${linked} where id in (${sql.join(chunk)})`,
  );
}

function requireLinkable({ row, linked }: LockedLinks, links: readonly NewLink[]): void {
  if (links.length > 0) requireTraining({ name: row.name, role: row.role as Role });
  for (const { slot, linkedId } of links) {
    const found = linked.get(linkedId);
    if (found === undefined || found.account_id !== row.account_id) {
      throw new ServiceError('dataset_not_found', `The ${slotText(slot)} does not exist: dataset ${linkedId}.`);
    }
    requireRoleOfSlot(slot, { name: found.name, role: found.role as Role });
  }
}

function isSame(before: LockedLinks['links'], after: readonly NewLink[]): boolean {
  const slots = new Map(before.map(({ slot, linked_id }) => [slot, linked_id]));
  return before.length === after.length && after.every(({ slot, linkedId }) => slots.get(slot) === linkedId);
}

/** A dataset and its files from one snapshot. */
export interface DatasetContents {
  readonly dataset: Dataset;
  readonly files: readonly DatasetFile[];
  readonly pairs: readonly LinkPairs[];
}

interface Rows {
  readonly row: DatasetRow;
  readonly links: readonly LinkRow[];
}

type LinkRow = DatasetRow & { readonly target_id: string; readonly slot: string };

/** A dataset and its files from one snapshot. */
interface FoundFiles extends Rows {
  readonly files: readonly DatasetFile[];
  /** Sound stored files; none if they were not read. */
  readonly linkedFiles: ReadonlyMap<LinkSlot, readonly LinkedFile[]>;
}

/** Changes with the names and files of all linked datasets. */
function stateOf({ row, links }: Rows): string {
  return JSON.stringify([row.version, links.map(({ slot, id, version }) => [slot, id, version])]);
}

function sizeOf(pairs: readonly LinkPairs[]): number {
  const sizes = pairs.flatMap(({ proof, problems }) => [
    ...PAIR_FAULTS.map((fault) => proof[fault].length),
    problems.length,
  ]);
  return sizes.reduce((sum, size) => sum + size, SIZE_OF_LINK * pairs.length);
}

function linksIn({ links }: Rows): DatasetLink[] {
  return links.map(({ target_id: _, slot, ...row }) => ({ slot: slot as LinkSlot, dataset: unlinkedDatasetOf(row) }));
}

function datasetOf(rows: Rows, pairs: readonly LinkPairs[]): Dataset {
  const record = datasetRecordOf(rows.row);
  const unpaired = pairs.reduce((sum, { proof }) => sum + pairErrorsIn(proof), 0);
  return { ...record, counts: { ...record.counts, unpaired }, links: linksIn(rows) };
}

function isSound(file: DatasetFile): file is StoredFile {
  return file.upload.state === 'stored' && file.upload.problem === undefined;
}

/** `undefined` if the account has no such dataset. @param options.isForPairs reads sound media only, as a status does after a change */
async function readFiles(
  db: Database,
  key: DatasetKeyOfAccount,
  { withLinkedFiles, isForPairs = false }: { withLinkedFiles: boolean; isForPairs?: boolean },
): Promise<FoundFiles | undefined> {
  const isOwn = sql`id = ${key.id} and account_id = ${key.accountId}`;
  const own = sql<string>`select id from dataset where ${isOwn}`;
  // Warnings about a mask decide something in its targets, warnings about a control don't.
  const linkedRows = sql<LinkedFileRow>`
    select link.slot, file.filename, file.kind, file.facts, file.sha256,
      case when link.slot = 'mask' then file.warnings end as warnings
    from link join file on file.dataset_id = link.linked_id
    where link.dataset_id = (${own}) and file.state = 'stored' and file.problem is null`;
  const isWanted = isForPairs ? sql`state = 'stored' and problem is null and kind <> 'caption'` : sql`state = 'stored'`;
  const isOther = isForPairs ? sql`1 = 0` : sql`state <> 'stored'`;
  const [[row], links, stored, others, ...linkedFiles] = await db.read([
    sql<DatasetRow>`select * from dataset where ${isOwn}`,
    linksOf(own),
    // Nearly all rows are stored files: skipping their empty columns saves a third of the read.
    sql<StoredRow>`select ${STORED} from file where dataset_id = (${own}) and ${isWanted}`,
    sql<FileRow>`select * from file where dataset_id = (${own}) and ${isOther}`,
    ...(withLinkedFiles ? [linkedRows] : []),
  ]);
  if (row === undefined) return undefined;
  const files = [...storedFilesOf(stored), ...others.map(fileOf)];
  return { row, links, files, linkedFiles: linkedFilesOf(linkedFiles.flat()) };
}

/** The links of datasets, each dataset's in the order of the slots. */
function linksOf(datasetIds: RawBuilder<unknown>) {
  return sql<LinkRow>`select dataset.*, link.dataset_id as target_id, link.slot
    from link join dataset on dataset.id = link.linked_id where link.dataset_id in (${datasetIds}) order by link.slot`;
}

type LinkedFileRow = Pick<FileRow, 'filename' | 'kind' | 'facts' | 'sha256' | 'warnings'> & { readonly slot: string };

function linkedFilesOf(rows: readonly LinkedFileRow[]): FoundFiles['linkedFiles'] {
  const read = jsonReader();
  const files = new Map<LinkSlot, LinkedFile[]>();
  for (const { slot, filename, kind, facts, sha256, warnings } of rows) {
    const ofSlot = files.get(slot as LinkSlot) ?? [];
    files.set(slot as LinkSlot, ofSlot);
    ofSlot.push({
      ...{ filename, kind: kind as FileKind },
      upload: { facts: read(facts), sha256: sha256 ?? '', warnings: warnings === null ? [] : read(warnings) },
    });
  }
  return files;
}

/** An LRU cache with one value for each dataset, valid for one state of the dataset. */
export class StateCache<T> {
  readonly #maxSize: number;
  /** By the id of the dataset, the most recently used last. */
  readonly #entries = new Map<string, { readonly state: string; readonly value: T; readonly size: number }>();
  #size = 0;

  /** @param maxSize limits the sum of the sizes that `set` is given */
  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  /** Whether there is a value, which may be of an earlier state. */
  has(id: string): boolean {
    return this.#entries.has(id);
  }

  get(id: string, state: string | undefined): T | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.state !== state) return undefined;
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    return entry.value;
  }

  /** Replaces the value; removes it if `state` is `undefined` or the value alone exceeds the limit. */
  set(id: string, state: string | undefined, { value, size }: { value: T; size: number }): void {
    this.#delete(id);
    if (state === undefined || size > this.#maxSize) return;
    this.#entries.set(id, { state, value, size });
    this.#size += size;
    for (const oldest of this.#entries.keys()) {
      if (this.#size <= this.#maxSize) break;
      this.#delete(oldest);
    }
  }

  #delete(id: string): void {
    this.#size -= this.#entries.get(id)?.size ?? 0;
    this.#entries.delete(id);
  }
}
