import { z } from 'zod';
import { MAX_REPEATS } from '../dataset/groups.js';
import { MAX_NAMES_PER_REQUEST } from './limits.js';
import { rawName, wireCount as count } from './values.js';

/* The schemas of groups of files. All of it is trainyard's own. */

const repeats = z.int().min(1).max(MAX_REPEATS).describe('How often a trainer reads each file in one epoch.');
const isReg = z.boolean().describe('Whether the files are regularisation images.');

export const wireGroup = z
  .object({
    name: z.string(),
    repeats: repeats.max(Number.MAX_SAFE_INTEGER),
    is_reg: isReg,
    files: count.describe('Its stored files, captions included.'),
  })
  .meta({ id: 'Group' });

export const wireGroups = z.array(wireGroup).describe('The groups of the files, by name; absent if there are none.');

const filenames = z.array(rawName).max(MAX_NAMES_PER_REQUEST);

export const groupBody = z.strictObject({
  repeats: repeats.optional().describe('Missing: as before, or 1 for a new group.'),
  is_reg: isReg.optional().describe('Missing: as before, or false for a new group.'),
  add: filenames
    .optional()
    .describe(
      'Files to put into the group, out of any other. A picture, its captions and all files of its stem go together.',
    ),
  remove: filenames.optional().describe('Files to take out of the group, with all files of their stems.'),
});

export const wireDeletedGroup = z.object({ name: z.string(), deleted: z.literal(true) });

export type WireGroup = z.infer<typeof wireGroup>;
export type WireGroupChange = z.input<typeof groupBody>;
