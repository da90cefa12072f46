import { z } from 'zod';
import { LINK_SLOTS } from '../dataset/pairs/roles.js';
import {
  wireCount as count,
  rawName,
  wireSha256 as sha256,
  type WireLinkSlot,
  wireRole,
  wireStatus,
} from './values.js';

/* The schemas of links between datasets, in requests and answers. All of it is trainyard's own. */

const stems = z
  .object({ count, stems: z.array(z.string()).describe('In order, at most 1,000.') })
  .meta({ id: 'Stems', description: 'Names of files without their extensions.' });

const wireLink = z
  .object({
    dataset_id: z.string(),
    name: z.string(),
    role: wireRole,
    status: wireStatus,
    digest: sha256.optional().describe('Of the linked dataset; present only if it is READY.'),
    missing: stems.describe('Images of the training dataset without a control or mask of the same stem.'),
    extra: stems.describe('Controls or masks without an image of the same stem in the training dataset.'),
    ambiguous: stems.describe('Stems of which the linked dataset has several images.'),
    misfit: stems.describe('Pairs at whose sizes the trainer stops, or counts the wrong region.'),
    stretched: stems.describe('Pairs of different aspect ratios, which is a warning.'),
  })
  .meta({ id: 'Link' });

/** Each field may be missing. */
function bySlot<S extends z.ZodType>(schema: S) {
  const fields = Object.fromEntries(LINK_SLOTS.map((slot) => [slot, schema.optional()]));
  return z.object(fields as Record<WireLinkSlot, z.ZodOptional<S>>);
}

export const wireLinks = bySlot(wireLink).meta({
  id: 'Links',
  description:
    'The controls and the mask of a training dataset, and what is wrong with the pairs. Empty for a share link, which shows one dataset alone.',
});

export const wireLinkedFrom = z
  .array(z.object({ id: z.string(), name: z.string() }))
  .describe('The training datasets that link to this control or mask, by name, at most 100.');

export const wireManifestLinks = bySlot(
  z.object({
    dataset_id: z.string(),
    name: z.string(),
    revision: count,
    digest: sha256.optional().describe('Present only if the linked dataset is READY.'),
  }),
).meta({ id: 'ManifestLinks', description: 'The states of the linked datasets at the same moment.' });

export const wireLinkStates = z.object({ links: wireLinks, status: wireStatus }).meta({ id: 'LinkStates' });

const nameOrId = rawName.nullish().describe('The id or the name of a dataset of the account; null or missing: none.');

export const linksBody = z.strictObject({
  control_1: nameOrId,
  control_2: nameOrId,
  control_3: nameOrId,
  mask: nameOrId,
});

export type WireLink = z.infer<typeof wireLink>;
export type WireLinks = z.infer<typeof wireLinks>;
export type WireLinkStates = z.infer<typeof wireLinkStates>;
export type WireManifestLinks = z.infer<typeof wireManifestLinks>;
