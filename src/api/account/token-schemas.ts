import { z } from 'zod';
import { MAX_RAW_NAME_LENGTH } from '../../dataset/names.js';
import { MAX_BOUND_DATASETS, MAX_EXPIRY_SECONDS, MAX_SHARE_SECONDS } from '../limits.js';
import { wireTime } from '../schemas.js';

const rawName = z.string().max(MAX_RAW_NAME_LENGTH);

export const wireToken = z
  .object({
    id: z.string(),
    kind: z.enum(['token', 'session', 'share']).meta({
      description: 'A token, the session of a browser that signed in, or the share link of one dataset.',
    }),
    name: z.string().nullable(),
    hint: z.string().meta({ description: 'The first characters of the secret.' }),
    read_only: z.boolean(),
    datasets: z
      .array(z.object({ id: z.string(), name: z.string().nullable().meta({ description: 'Null: it was deleted.' }) }))
      .nullable()
      .meta({ description: 'The datasets that it is bound to; null for all of the account.' }),
    created_at: wireTime,
    last_used_at: wireTime.nullable().meta({ description: 'Behind by up to a minute.' }),
    expires_at: wireTime.nullable(),
    made_by: z.string().nullable().meta({ description: 'The id of the token that made it, if a token did.' }),
    current: z.boolean().meta({ description: 'Whether the request came with it.' }),
  })
  .meta({ id: 'Token' });

export const wireTokenList = z.object({ tokens: z.array(wireToken) });

const secret = z.string().meta({ description: 'It is not stored, and not shown again.' });

export const wireNewToken = wireToken.extend({ secret }).meta({ id: 'NewToken' });

export const wireNewShare = wireNewToken
  .extend({ url: z.string().meta({ description: 'The page of the dataset. The secret follows the `#`.' }) })
  .meta({ id: 'NewShare' });

export const wireRevokedToken = z
  .object({
    id: z.string(),
    revoked: z.array(z.string()).meta({ description: 'The ids of all tokens, sessions and shares that this ended.' }),
    current: z.boolean().meta({
      description: 'Whether the token of this request is among them. It does not work for another request then.',
    }),
  })
  .meta({ id: 'RevokedToken' });

/** The lifetime of a token or a share. */
const expiresIn = z.int().min(1).meta({ description: 'Seconds until it expires.' });

export const tokenBody = z
  .strictObject({
    name: rawName.nullish().meta({ description: 'Who or what uses it. It is in the history of datasets.' }),
    read_only: z.boolean().default(false),
    datasets: z.array(rawName).min(1).max(MAX_BOUND_DATASETS).nullish().meta({
      description: 'Names or ids of the datasets that it is bound to; without them, it may use all.',
    }),
    expires_in: expiresIn.max(MAX_EXPIRY_SECONDS).nullish(),
    expires_at: z.iso
      .datetime({ local: true, offset: true })
      .nullish()
      .meta({ description: 'ISO 8601, in UTC if it has no zone. Instead of `expires_in`.' }),
  })
  .nullish();

export const shareBody = z
  .strictObject({
    name: rawName.nullish().meta({ description: 'For whom the link is.' }),
    expires_in: expiresIn.max(MAX_SHARE_SECONDS).nullish().meta({ description: 'Seconds; by default 7 days.' }),
  })
  .nullish();

export const revocationQuery = z.object({
  with_made: z.enum(['true', 'false']).optional().meta({
    description: 'Whether the tokens that it made are revoked too. Its sessions and shares always are.',
  }),
});

export const tokenParams = z.object({ token_id: rawName });
export const shareParams = z.object({ id: rawName, share_id: rawName });

export type WireToken = z.infer<typeof wireToken>;
export type WireTokenList = z.infer<typeof wireTokenList>;
export type WireNewToken = z.infer<typeof wireNewToken>;
export type WireNewShare = z.infer<typeof wireNewShare>;
export type WireRevokedToken = z.infer<typeof wireRevokedToken>;
