import { z } from 'zod';
import { LINK_SLOTS, ROLES } from '../dataset/pairs/roles.js';

/* Values that several schemas of requests and answers have. */

export const wireSha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .meta({ description: 'SHA-256, lower-case hexadecimal.' });

/**
 * A text of a request that is stored as it was sent. Postgres can't hold NUL (datatype-character.html), and half of a surrogate
 * pair has no UTF-8. Names have stricter rules, of `dataset/names.ts`.
 */
export const storedText = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    .refine((text) => !/[\0\p{Surrogate}]/u.test(text), 'must be valid Unicode without NUL');

export const wireCount = z.int().min(0);

export const wireStatus = z.enum(['DRAFT', 'UPLOADING', 'READY', 'FAILED']).meta({
  id: 'Status',
  description:
    'DRAFT: the dataset has no files and no pending uploads. UPLOADING: uploads are pending or being checked, or missing captions or controls may still follow. READY: all files are checked and fit to train on. FAILED: `error` says what is wrong; upload the missing or rejected files to repair it.',
});

export const wireRole = z.enum(ROLES).meta({
  id: 'Role',
  description:
    'What the files are for. training: images and clips to train on, with captions. control: images that an edit model gets beside those of a training dataset, of the same names. mask: images that say where the loss counts. A control or mask needs no captions.',
});

export const wireLinkSlot = z.enum(LINK_SLOTS);

export type WireStatus = z.infer<typeof wireStatus>;
export type WireRole = z.infer<typeof wireRole>;
export type WireLinkSlot = z.infer<typeof wireLinkSlot>;
