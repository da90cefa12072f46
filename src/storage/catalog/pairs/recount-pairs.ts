import { stemGroupsOf } from '../../../dataset/counts.js';
import type { LinkSlot } from '../../../dataset/dataset.js';
import { stemOf } from '../../../dataset/media.js';
import { type PairFile, pairErrorsOf } from '../../../dataset/pairs/pair-faults.js';
import { ONE_PIECE, type Pieces } from '../../../pieces.js';
import type { Query } from '../../database/database.js';
import { type RunStatement, runOn } from '../catalog-rows.js';
import { rowChunksOf } from '../statements.js';
import { pairedDatasets, pairFileReader } from './count-pairs.js';

/** Of the target; there are as many of each linked dataset. They take a few milliseconds. */
const FILES_PER_PAGE = 250;

/** A link that a target is about to have. */
export interface NewLink {
  readonly slot: LinkSlot;
  readonly linkedId: string;
}

/** The datasets of pairs: a target, and those that it links to or is about to. */
export interface PairsOfTarget {
  readonly targetId: string;
  readonly links: readonly NewLink[];
}

/** The number of errors of all pairs of a target, while its dataset and those of the links have these versions, by id. */
export interface CountedPairs {
  readonly unpaired: number;
  readonly versions: ReadonlyMap<string, number>;
}

/** Counts the errors of all pairs of a target with these links, without a lock. */
export async function countPairs(query: Query, pairs: PairsOfTarget, pieces: Pieces): Promise<CountedPairs> {
  const ids = [pairs.targetId, ...pairs.links.map(({ linkedId }) => linkedId)];
  // Before the files: a change of them meanwhile changes the version too.
  const rows = await query.selectFrom('dataset').select(['id', 'version']).where('id', 'in', ids).execute();
  const unpaired = await countUnpaired({ query, run: runOn(query), pieces }, pairs);
  return { unpaired, versions: new Map(rows.map(({ id, version }) => [id, version])) };
}

/** Counts as `countUnpaired` does, with the links that a target has. */
export async function recountUnpaired(query: Query, run: RunStatement, targetId: string): Promise<number> {
  const rows = await run(query.selectFrom('link').select(['slot', 'linked_id']).where('dataset_id', '=', targetId));
  const links = rows.map(({ slot, linked_id }) => ({ slot: slot as LinkSlot, linkedId: linked_id }));
  return countUnpaired({ query, run }, { targetId, links });
}

/** Counts the errors of all pairs of a target with these links; memory does not grow with the files. */
export async function countUnpaired(
  { query, run, pieces = ONE_PIECE }: { query: Query; run: RunStatement; pieces?: Pieces },
  { targetId, links }: PairsOfTarget,
): Promise<number> {
  if (links.length === 0) return 0;
  const slots = links.map(({ slot, linkedId }) => ({ slot, other_id: linkedId }));
  const linkedIds = links.map(({ linkedId }) => linkedId);
  const pairFileOf = pairFileReader();
  let unpaired = 0;
  let kept: PairFile[] = [];
  for (let after: { stem: string; id: string } | undefined; ; ) {
    let page = pairFilesOf(query, [targetId])
      .select(['stem', 'id'])
      .orderBy('stem')
      .orderBy('id')
      .limit(FILES_PER_PAGE);
    if (after !== undefined) {
      const { stem, id } = after;
      page = page.where(({ eb, refTuple, tuple }) => eb(refTuple('stem', 'id'), '>', tuple(stem, id)));
    }
    const rows = await run(page);
    const isLast = rows.length < FILES_PER_PAGE;
    const files = [...kept, ...rows.map(pairFileOf)];
    after = rows.at(-1);
    const split = isLast ? undefined : after?.stem;
    // Files of the last stem may follow on the next page.
    kept = files.filter(({ filename }) => stemOf(filename) === split);
    const groups = stemGroupsOf(files.filter(({ filename }) => stemOf(filename) !== split));
    const linkedRows = [];
    for (const stems of rowChunksOf([...groups.keys()])) {
      const linked = pairFilesOf(query, linkedIds).select('dataset_id as other_id').where('stem', 'in', stems);
      linkedRows.push(...(await run(linked)));
    }
    for (const { slot, filesOf } of pairedDatasets(slots, linkedRows)) {
      for (const [stem, group] of groups) unpaired += pairErrorsOf(group, filesOf(stem), slot);
    }
    if (isLast) return unpaired;
    await pieces.pause();
  }
}

function pairFilesOf(query: Query, datasetIds: readonly string[]) {
  return query
    .selectFrom('file')
    .select(['filename', 'kind', 'facts'])
    .where('dataset_id', 'in', datasetIds)
    .where('state', '=', 'stored')
    .where('kind', '<>', 'caption')
    .where('problem', 'is', null);
}
