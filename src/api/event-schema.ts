import { z } from 'zod';
import { wireDataset, wireFile } from './schemas.js';

/** The `dataset` event of the stream of one dataset. */
export const wireDatasetChange = wireDataset.extend({
  files: z.array(wireFile).optional().meta({
    description:
      'Those of the files that changed since the event before that are in `files` of the status now. Absent if any file may have changed, as in the first event of a stream and after more than 200 changes: then read the status.',
  }),
  absent: z.array(z.string()).optional().meta({
    description:
      'Together with `files`: the other filenames that changed. They are not, or no longer, in `files` of the status.',
  }),
});

export type WireDatasetChange = z.infer<typeof wireDatasetChange>;
