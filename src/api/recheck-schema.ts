import { z } from 'zod';
import { wireProblem, wireTime } from './schemas.js';

export const wireRecheck = z
  .object({
    dataset_id: z.string(),
    state: z.enum(['never', 'running', 'finished']).meta({
      description: 'Of the last recheck; `never` if there was none.',
    }),
    total: z.int().min(0).meta({ description: 'Files of the dataset when the recheck started.' }),
    checked: z.int().min(0).meta({ description: 'Files that have been inspected again.' }),
    started_at: wireTime.optional(),
    finished_at: wireTime.optional(),
    problems: z.array(wireProblem).meta({
      description: 'One for each file that was accepted and is damaged, ordered by filename, at most 1,000.',
    }),
  })
  .meta({ id: 'Recheck' });

export type WireRecheck = z.infer<typeof wireRecheck>;
