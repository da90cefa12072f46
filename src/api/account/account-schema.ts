import { z } from 'zod';
import { wireTime } from '../schemas.js';

const wireTotals = z.object({ datasets: z.number(), files: z.number(), bytes: z.number() });

export const wireAccount = z
  .object({
    account: z.string().meta({ description: 'The name of the account.' }),
    token: z.object({
      id: z.string(),
      read_only: z.boolean(),
      datasets: z
        .array(z.string())
        .nullable()
        .meta({ description: 'The ids of the datasets that the token is bound to.' }),
      expires_at: wireTime
        .nullable()
        .meta({ description: 'The end of the token, or of the session if that is earlier.' }),
    }),
    session_id: z
      .string()
      .nullable()
      .meta({ description: 'The session of the page; null for a request with a token.' }),
    usage: wireTotals
      .extend({
        history_bytes: z.number().meta({
          description: 'The bytes of replaced and deleted files that the history keeps. They are not part of `bytes`.',
        }),
      })
      .optional()
      .meta({ description: 'Missing for a token that is bound to datasets.' }),
    limits: wireTotals,
  })
  .meta({ id: 'Account' });

export type WireAccount = z.infer<typeof wireAccount>;
