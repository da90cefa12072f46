import type { Dataset, TrainyardClient } from '../../../../src/client/client.js';
import type { LinkSlot } from '../../../../src/dataset/dataset.js';
import { LINK_SLOTS } from '../../../../src/dataset/pairs/roles.js';
import type { PairDataset, PairPart } from '../../../../src/dataset/pairs/pair-folders.js';
import type { PairsToUpload } from './prepare-pairs.js';

/** The datasets of a folder of pairs. */
export interface PairedDatasets {
  readonly target: { readonly id: string; readonly name: string };
  readonly byPart: ReadonlyMap<PairPart, { readonly id: string; readonly name: string }>;
  /** Those that did not exist before. */
  readonly made: readonly Dataset[];
}

/**
 * Makes the datasets that do not exist yet, and links all to the training dataset. Other links of it stay as they are. After
 * a failure, none of the new datasets is left.
 *
 * @throws TrainyardError, such as `name_taken`
 */
export async function makePairedDatasets(
  client: TrainyardClient,
  { target: existing, parts }: Pick<PairsToUpload, 'target' | 'parts'>,
  toMake: readonly PairDataset[],
): Promise<PairedDatasets> {
  const byPart = new Map<PairPart, { id: string; name: string }>();
  for (const { part, dataset } of parts) if (dataset !== undefined) byPart.set(part, dataset);
  const made: Dataset[] = [];
  try {
    for (const { part, name, role } of toMake) {
      const dataset = await client.create(name, { role });
      made.push(dataset);
      byPart.set(part, dataset);
    }
    const target = existing ?? byPart.get('target')!;
    if (toMake.some(({ part }) => part !== 'target')) {
      const known = existing?.links ?? {};
      const idOf = (slot: LinkSlot) => byPart.get(slot)?.id ?? known[slot]?.dataset_id ?? null;
      await client.pairs.setLinks(target.id, Object.fromEntries(LINK_SLOTS.map((slot) => [slot, idOf(slot)])));
    }
    return { target, byPart, made };
  } catch (error) {
    // The training dataset comes first: the others can be deleted only while none is linked to them.
    for (const { id } of made) await client.remove(id).catch(() => {});
    throw error;
  }
}
