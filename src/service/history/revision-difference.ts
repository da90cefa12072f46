import { MAX_CAPTION_TEXT_BYTES } from '../../api/limits.js';
import { differencesBetween, type FileDifference, filesIn } from '../../dataset/history/revision-states.js';
import type { Catalog } from '../../storage/catalog/catalog.js';
import type { DatasetKey } from '../datasets.js';
import { revisionNotFound } from '../find-revision.js';

/** A client holds the captions of a page in memory. */
const MAX_TEXT_BYTES_PER_PAGE = 8 * 1024 * 1024;

/** A page of differing files. */
export interface RevisionDifference {
  readonly total: { readonly added: number; readonly removed: number; readonly changed: number };
  /** By name. */
  readonly files: readonly FileDifference[];
  readonly isLast: boolean;
}

export interface DifferenceQuery {
  /** 0 stands for no files. */
  readonly from: number;
  readonly to: number;
  readonly after: string;
  readonly limit: number;
}

/** @throws ServiceError `revision_not_found` */
export async function differenceOfRevisions(
  catalog: Catalog,
  { accountId, id }: DatasetKey,
  { from, to, after, limit }: DifferenceQuery,
): Promise<RevisionDifference> {
  const range = { datasetId: id, from: Math.min(from, to), to: Math.max(from, to) };
  const { kept, files: versions } = await catalog.readMany(accountId, () => catalog.revisions.versions(range));
  const missing = [from, to].find((number) => number !== 0 && !kept.has(number));
  if (missing !== undefined) throw await revisionNotFound(catalog, id, missing);
  const all = differencesBetween(filesIn(versions, from), filesIn(versions, to));
  const following = all.filter(({ filename }) => filename > after);
  const files = pageOf(following, limit);
  return {
    total: {
      added: all.filter((file) => file.from === undefined).length,
      removed: all.filter((file) => file.to === undefined).length,
      changed: all.filter((file) => file.from !== undefined && file.to !== undefined).length,
    },
    files,
    isLast: files.length === following.length,
  };
}

/** At most `limit` differences, and at least one. */
function pageOf(differences: readonly FileDifference[], limit: number): FileDifference[] {
  const page: FileDifference[] = [];
  let bytes = 0;
  for (const difference of differences) {
    bytes += textBytesOf(difference);
    if (page.length === limit || (page.length > 0 && bytes > MAX_TEXT_BYTES_PER_PAGE)) break;
    page.push(difference);
  }
  return page;
}

/** The bytes of the captions whose texts an answer has. */
export function textBytesOf({ from, to }: FileDifference): number {
  let bytes = 0;
  for (const file of [from, to]) {
    if (file?.kind === 'caption' && file.upload.sizeBytes <= MAX_CAPTION_TEXT_BYTES) bytes += file.upload.sizeBytes;
  }
  return bytes;
}
