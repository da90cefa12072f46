import { MAX_CAPTION_TEXT_BYTES } from '../../api/limits.js';
import type { StoredFile } from '../../dataset/dataset.js';
import { differencesBetween, type FileDifference, filesIn } from '../../dataset/history/revision-states.js';
import type { Pieces } from '../../pieces.js';
import type { Catalog } from '../../storage/catalog/catalog.js';
import type { DatasetKey } from '../datasets.js';
import type { InPieces } from '../dependencies.js';
import type { Downloads } from '../download/downloads.js';
import { revisionNotFound } from '../find-revision.js';

/** The captions of one page are read into memory. */
const MAX_TEXT_BYTES_PER_PAGE = 8 * 1024 * 1024;

/** A file that differs between two revisions, with the texts of captions up to 64 KiB that the store has intact. */
export interface DifferenceWithTexts extends FileDifference {
  readonly fromText: string | undefined;
  readonly toText: string | undefined;
}

/** A page of the files that differ between two revisions. */
export interface RevisionDifference {
  readonly total: { readonly added: number; readonly removed: number; readonly changed: number };
  /** By name. */
  readonly files: readonly DifferenceWithTexts[];
  readonly isLast: boolean;
}

export interface DifferenceQuery {
  /** 0 stands for no files. */
  readonly from: number;
  readonly to: number;
  /** Only files with names after this one. */
  readonly after: string;
  readonly limit: number;
}

/** Compares two revisions of a dataset that exists. @throws ServiceError `revision_not_found` */
export async function differenceOfRevisions(
  { catalog, downloads, inPieces }: { catalog: Catalog; downloads: Downloads; inPieces: InPieces },
  { accountId, id }: DatasetKey,
  query: DifferenceQuery,
): Promise<RevisionDifference> {
  const { total, page, isLast } = await inPieces(accountId, (pieces) =>
    pageOfRevisions(catalog, id, { ...query, pieces }),
  );
  const texts = await readableTexts(downloads, page);
  const files = page.map((file) => ({
    ...file,
    fromText: file.from && texts.get(file.from),
    toText: file.to && texts.get(file.to),
  }));
  return { total, files, isLast };
}

async function pageOfRevisions(
  catalog: Catalog,
  id: string,
  { from, to, after, limit, pieces }: DifferenceQuery & { pieces: Pieces },
): Promise<Omit<RevisionDifference, 'files'> & { page: FileDifference[] }> {
  const range = { from: Math.min(from, to), to: Math.max(from, to), isDifference: true, pieces };
  const { revisions, files } = await catalog.revisions.range(id, range);
  const kept = new Set([0, ...revisions.map(({ number }) => number)]);
  const missing = [from, to].find((number) => !kept.has(number));
  if (missing !== undefined) throw await revisionNotFound(catalog, id, missing);
  await pieces.pause();
  const all = differencesBetween(filesIn(files, from), filesIn(files, to));
  await pieces.pause();
  const following = all.filter(({ filename }) => filename > after);
  const page = pageOf(following, limit);
  return {
    total: {
      added: all.filter((file) => file.from === undefined).length,
      removed: all.filter((file) => file.to === undefined).length,
      changed: all.filter((file) => file.from !== undefined && file.to !== undefined).length,
    },
    page,
    isLast: page.length === following.length,
  };
}

/** The first differences: at most `limit`, and at least one however long its captions are. */
function pageOf(differences: readonly FileDifference[], limit: number): FileDifference[] {
  const page: FileDifference[] = [];
  let bytes = 0;
  for (const difference of differences) {
    bytes += textBytesOf(difference.from) + textBytesOf(difference.to);
    if (page.length === limit || (page.length > 0 && bytes > MAX_TEXT_BYTES_PER_PAGE)) break;
    page.push(difference);
  }
  return page;
}

function textBytesOf(file: StoredFile | undefined): number {
  if (file?.kind !== 'caption' || file.upload.sizeBytes > MAX_CAPTION_TEXT_BYTES) return 0;
  return file.upload.sizeBytes;
}

/** The differences can be seen and undone without the texts that the store has lost. */
async function readableTexts(
  downloads: Downloads,
  page: readonly FileDifference[],
): Promise<ReadonlyMap<StoredFile, string>> {
  const files = page.flatMap(({ from, to }) => [from, to]).filter((file) => file !== undefined);
  return downloads.texts<StoredFile>(files, { leavesOutDamaged: true });
}
