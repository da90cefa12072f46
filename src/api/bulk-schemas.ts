import { z } from 'zod';
import { wireCurrentFile, wireFile, wireProblem, wireRevisionNumber } from './schemas.js';

/* The schemas of answers to requests that write or remove several files. */

export const wireSavedCaptions = z
  .object({
    captions: z
      .array(
        z.object({
          filename: z.string(),
          saved: z.boolean(),
          file: wireFile.optional().meta({ description: 'The caption, if it was saved.' }),
          current: wireCurrentFile.nullable().optional().meta({
            description: 'If its `ifMatch` was not met: the stored caption, null if there is none.',
          }),
          problem: wireProblem.optional().meta({ description: 'If its text was rejected.' }),
        }),
      )
      .meta({ description: 'One for each caption, in the order of the request.' }),
    revision: wireRevisionNumber,
  })
  .meta({ id: 'SavedCaptions' });

export const wireRemovedFiles = z
  .object({
    files: z
      .array(
        z.object({
          filename: z.string(),
          deleted: z.boolean().meta({ description: 'False if there is no such file, or its `ifMatch` was not met.' }),
          current: wireCurrentFile.nullable().optional().meta({
            description: 'If its `ifMatch` was not met: the stored file, null if there is none.',
          }),
        }),
      )
      .meta({ description: 'One for each filename, in the order of the request.' }),
    revision: wireRevisionNumber,
  })
  .meta({ id: 'RemovedFiles' });

export const wireWithdrawnUploads = z
  .object({
    uploads: z
      .array(
        z.object({
          filename: z.string(),
          withdrawn: z.boolean().meta({ description: 'False if there is no pending or rejected upload of that name.' }),
        }),
      )
      .meta({ description: 'One for each filename, in the order of the request.' }),
  })
  .meta({ id: 'WithdrawnUploads' });

export type WireSavedCaptions = z.infer<typeof wireSavedCaptions>;
export type WireRemovedFiles = z.infer<typeof wireRemovedFiles>;
export type WireWithdrawnUploads = z.infer<typeof wireWithdrawnUploads>;
