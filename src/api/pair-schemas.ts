import { z } from 'zod';
import { MAX_RAW_NAME_LENGTH } from '../dataset/names.js';
import { LINK_SLOTS } from '../dataset/pairs/roles.js';
import { wireCount as count, wireSha256 as sha256, type WireLinkSlot, wireRole, wireStatus } from './values.js';

/* The schemas of links between datasets, in requests and answers. All of it is trainyard's own. */

const stems = z
  .object({ count, stems: z.array(z.string()).meta({ description: 'In order, at most 1,000.' }) })
  .meta({ id: 'Stems', description: 'Names of files without their extensions.' });

const wireLink = z
  .object({
    dataset_id: z.string(),
    name: z.string(),
    role: wireRole,
    status: wireStatus,
    digest: sha256.optional().meta({ description: 'Of the linked dataset; present only if it is READY.' }),
    missing: stems.meta({ description: 'Images of the training dataset without a control or mask of the same stem.' }),
    extra: stems.meta({ description: 'Controls or masks without an image of the same stem in the training dataset.' }),
    ambiguous: stems.meta({ description: 'Stems of which the linked dataset has several images.' }),
    misfit: stems.meta({ description: 'Pairs at whose sizes the trainer stops, or counts the wrong region.' }),
    stretched: stems.meta({ description: 'Pairs of different aspect ratios, which is a warning.' }),
  })
  .meta({ id: 'Link' });

/** An object with a field for each slot, which may be missing. */
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
  .meta({ description: 'The training datasets that link to this control or mask, by name, at most 100.' });

export const wireManifestLinks = bySlot(
  z.object({
    dataset_id: z.string(),
    name: z.string(),
    revision: count,
    digest: sha256.optional().meta({ description: 'Present only if the linked dataset is READY.' }),
  }),
).meta({ id: 'ManifestLinks', description: 'The states of the linked datasets at the same moment.' });

/** The answer about the links of a dataset. */
export const wireLinkStates = z.object({ links: wireLinks, status: wireStatus }).meta({ id: 'LinkStates' });

/** The id or name of a dataset, for each slot. */
const nameOrId = z.string().max(MAX_RAW_NAME_LENGTH).nullish().meta({
  description: 'The id or the name of a dataset of the account; null or missing: none.',
});

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
