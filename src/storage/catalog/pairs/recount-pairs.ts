import { stemGroupsOf } from '../../../dataset/counts.js';
import type { LinkSlot } from '../../../dataset/dataset.js';
import { pairErrorsOf } from '../../../dataset/pairs/pair-faults.js';
import type { Query } from '../../database/database.js';
import type { RunStatement } from '../catalog-rows.js';
import { pairedDatasets, pairFileReader } from './count-pairs.js';

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

/** Counts as `countUnpaired` does, with the links that a target has. */
export async function recountUnpaired(query: Query, run: RunStatement, targetId: string): Promise<number> {
  const rows = await run(query.selectFrom('link').select(['slot', 'linked_id']).where('dataset_id', '=', targetId));
  const links = rows.map(({ slot, linked_id }) => ({ slot: slot as LinkSlot, linkedId: linked_id }));
  return countUnpaired({ query, run }, { targetId, links });
}

/** Counts the errors of all pairs of a target with these links. */
export async function countUnpaired(
  { query, run }: { query: Query; run: RunStatement },
  { targetId, links }: PairsOfTarget,
): Promise<number> {
  if (links.length === 0) return 0;
  const slots = links.map(({ slot, linkedId }) => ({ slot, other_id: linkedId }));
  const linkedIds = links.map(({ linkedId }) => linkedId);
  const targets = stemGroupsOf((await run(pairFilesOf(query, [targetId]))).map(pairFileReader()));
  const linkedRows = await run(pairFilesOf(query, linkedIds).select('dataset_id as other_id'));
  let unpaired = 0;
  for (const { slot, filesOf } of pairedDatasets(slots, linkedRows)) {
    for (const [stem, group] of targets) unpaired += pairErrorsOf(group, filesOf(stem), slot);
  }
  return unpaired;
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
