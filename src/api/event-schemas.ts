import { z } from 'zod';
import { wireCaptionRun } from './caption-schemas.js';
import { wireDataset, wireFile } from './schemas.js';

const CHANGED =
  'Those of the files that changed since the event before that are in `files` of the status now. Absent if any file may have changed, as in the first event of a stream and after more than 200 changes: then read the status.';
const ABSENT =
  'Together with `files`: the other filenames that changed. They are not, or no longer, in `files` of the status.';
const RUNS = 'The runs of captions whose progress changed since the event before. A share does not see them.';

export const wireDatasetChange = wireDataset.extend({
  files: z.array(wireFile).optional().meta({ description: CHANGED }),
  absent: z.array(z.string()).optional().meta({ description: ABSENT }),
  caption_runs: z.array(wireCaptionRun).optional().meta({ description: RUNS }),
});

export const ACCOUNT_EVENTS =
  'Events until the client disconnects: `dataset` with a Dataset, and `deleted` with `{"id": …}`.';

export const DATASET_EVENTS = `Events until the client disconnects or the dataset is deleted: \`dataset\` with a Dataset at once and after changes, and \`deleted\` with \`{"id": …}\`. Changes in quick succession are one event. Two more fields of \`dataset\` say which files changed since the event before. \`files\`: ${CHANGED} \`absent\`: ${ABSENT} The first event of a stream never has them, so a client that reconnects misses nothing. \`caption_runs\`: ${RUNS}`;

export type WireDatasetChange = z.infer<typeof wireDatasetChange>;
