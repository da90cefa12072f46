import { z } from 'zod';
import { filenames } from './request-schemas.js';
import { text, wireCount as count, wordOf } from './values.js';

/* The schemas of duplicates. All of it is trainyard's own. */

const wireDuplicate = z
  .object({
    filename: z.string(),
    kind: wordOf(['exact', 'alike', 'mirrored']).describe(
      'Compared with the keeper. exact: the same bytes. alike: a picture that looks the same. mirrored: one that does so once left and right are exchanged, which may be intended.',
    ),
    distance: count.describe('The bits of its 256-bit PDQ hash that differ from the keeper, at most 31.'),
    pixels: count.describe('Width × height; 0 if they are not known.'),
    size_bytes: count,
  })
  .meta({ id: 'Duplicate' });

const wireDuplicateGroup = z
  .object({
    keeper: text('The best file: that with the most pixels, then bytes, then with a caption, then the oldest.'),
    reason: wordOf(['pixels', 'bytes', 'caption', 'age']).describe(
      'The first of these in which the keeper differs from the next best file.',
    ),
    members: z.array(wireDuplicate).meta({ description: 'The other files, each like the keeper. At least one.' }),
  })
  .meta({ id: 'DuplicateGroup' });

export const wireDuplicates = z
  .object({
    groups: z.array(wireDuplicateGroup).meta({ description: 'No file is in two groups. The best keeper is first.' }),
    pending: count.describe('Images that will be compared, but are not hashed yet.'),
  })
  .meta({ id: 'Duplicates' });

export const decisionBody = z.strictObject({
  filenames: filenames.min(2),
  different: z
    .boolean()
    .describe(
      'True: no two of these files are duplicates, except of equal bytes, as long as the dataset has their bytes. False: forget the decision about exactly these files.',
    ),
});

export const wireDecision = decisionBody.meta({ id: 'DuplicateDecision' });

export type WireDuplicateGroup = z.infer<typeof wireDuplicateGroup>;
export type WireDuplicates = z.infer<typeof wireDuplicates>;
