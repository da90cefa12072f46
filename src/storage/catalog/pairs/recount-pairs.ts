import { stemGroupsOf } from '../../../dataset/counts.js';
import type { LinkSlot } from '../../../dataset/dataset.js';
import { stemOf } from '../../../dataset/media.js';
import { type PairFile, pairErrorsOf } from '../../../dataset/pairs/pair-faults.js';
import { pairErrorsIn, provePairs } from '../../../dataset/pairs/pair-proof.js';
import type { Query, Transaction } from '../../database/database.js';
import type { RunStatement } from '../catalog-rows.js';
import { filesAcrossLinks, pairedDatasets, pairFileReader } from './count-pairs.js';

const FILES_PER_PAGE = 1000;

/** A link that a target is about to have. */
export interface NewLink {
  readonly slot: LinkSlot;
  readonly linkedId: string;
}

/**
 * Counts the errors of all pairs of a target with these links, in one round trip. The rows of the target and of the linked
 * datasets must be locked.
 */
export async function countUnpaired(
  query: Query,
  send: Transaction['send'],
  { targetId, links }: { targetId: string; links: readonly NewLink[] },
): Promise<number> {
  if (links.length === 0) return 0;
  const ids = [targetId, ...links.map(({ linkedId }) => linkedId)];
  const answers = await send(ids.map((id) => pairFilesOf(query, id)));
  const pairFileOf = pairFileReader();
  const [target = new Map(), ...linked] = answers.map((rows) => stemGroupsOf(rows.map(pairFileOf)));
  return links.reduce((sum, { slot }, i) => sum + pairErrorsIn(provePairs(target, linked[i] ?? new Map(), slot)), 0);
}

/** Counts as `countUnpaired` does, with the links that a target has; memory does not grow with the files. */
export async function recountUnpaired(query: Query, run: RunStatement, targetId: string): Promise<number> {
  const slots = await run(
    query.selectFrom('link').select(['slot', 'linked_id as other_id']).where('dataset_id', '=', targetId),
  );
  if (slots.length === 0) return 0;
  const pairFileOf = pairFileReader();
  let unpaired = 0;
  let kept: PairFile[] = [];
  for (let after: { stem: string; id: string } | undefined; ; ) {
    let page = pairFilesOf(query, targetId).select(['stem', 'id']).orderBy('stem').orderBy('id').limit(FILES_PER_PAGE);
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
    const across = filesAcrossLinks(query, { from: 'dataset_id', id: targetId, stems: [...groups.keys()] });
    const linkedRows = [];
    for (const statement of across) linkedRows.push(...(await run(statement)));
    for (const { slot, filesOf } of pairedDatasets(slots, linkedRows)) {
      for (const [stem, group] of groups) unpaired += pairErrorsOf(group, filesOf(stem), slot);
    }
    if (isLast) return unpaired;
  }
}

function pairFilesOf(query: Query, datasetId: string) {
  return query
    .selectFrom('file')
    .select(['filename', 'kind', 'facts'])
    .where('dataset_id', '=', datasetId)
    .where('state', '=', 'stored')
    .where('kind', '<>', 'caption')
    .where('problem', 'is', null);
}
