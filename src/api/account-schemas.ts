import { z } from 'zod';
import { MAX_BOUND_DATASETS, MAX_EXPIRY_SECONDS, MAX_SHARE_SECONDS } from './limits.js';
import { flag, rawName, text, uniqueBy, wireTime, wireUrl, wordOf } from './values.js';

/* The schemas of the account, its tokens, sessions and shares, in requests and answers. */

const wireTotals = z.object({ datasets: z.number(), files: z.number(), bytes: z.number() });

export const wireAccount = z
  .object({
    account: text('The name of the account.'),
    token: z.object({
      id: z.string(),
      read_only: z.boolean(),
      datasets: z.array(z.string()).nullable().describe('The ids of the datasets that the token is bound to.'),
      expires_at: wireTime.nullable().describe('The end of the token, or of the session if that is earlier.'),
    }),
    session_id: z.string().nullable().describe('The session of the page; null for a request with a token.'),
    usage: wireTotals
      .extend({
        history_bytes: z.number().meta({
          description: 'The bytes of replaced and deleted files that the history keeps. They are not part of `bytes`.',
        }),
      })
      .optional()
      .meta({ description: 'Missing for a token that is bound to datasets.' }),
    limits: wireTotals,
    urls: z.array(z.string()).optional().meta({
      description:
        'Where other machines may reach the service without a proxy; none if it listens on its own machine alone. Missing for a token that is bound to datasets.',
    }),
  })
  .meta({ id: 'Account' });

export const sessionBody = z
  .strictObject({
    code: z.string().max(200).meta({ description: 'The code of a link that `POST /session/codes` made.' }),
  })
  .nullish();

export const wireSession = z
  .object({ id: z.string(), expires_at: wireTime.describe('The end of the session, and of its cookie.') })
  .meta({ id: 'Session' });

export const wireEndedSession = z.object({ id: z.string(), ended: z.literal(true) });

export const wireSignInCode = z
  .object({
    code: text(
      'Signs in once: open the page with `#code=` and this, or send it to `POST /session`. Add `&token=` and `token_id`, so that a page which is signed in with the token already does not ask.',
    ),
    token_id: z.string(),
    expires_at: wireTime,
  })
  .meta({ id: 'SignInCode' });

const wireToken = z
  .object({
    id: z.string(),
    kind: wordOf(['token', 'session', 'share']).describe(
      'A token, the session of a browser that signed in, or the share link of one dataset.',
    ),
    name: z.string().nullable(),
    hint: text('The first characters of the secret.'),
    read_only: z.boolean(),
    datasets: z
      .array(z.object({ id: z.string(), name: z.string().nullable().meta({ description: 'Null: it was deleted.' }) }))
      .nullable()
      .meta({ description: 'The datasets that it is bound to; null for all of the account.' }),
    created_at: wireTime,
    last_used_at: wireTime.nullable().describe('Behind by up to a minute.'),
    expires_at: wireTime.nullable(),
    made_by: z.string().nullable().meta({ description: 'The id of the token that made it, if a token did.' }),
    current: flag('Whether the request came with it.'),
  })
  .meta({ id: 'Token' });

export const wireTokenList = z.object({ tokens: uniqueBy(wireToken, 'id') });

const secret = text('It is not stored, and not shown again.');

export const wireNewToken = wireToken.extend({ secret }).meta({ id: 'NewToken' });

export const wireNewShare = wireNewToken
  .extend({ url: wireUrl.describe('The page of the dataset. The secret follows the `#`.') })
  .meta({ id: 'NewShare' });

export const wireRevokedToken = z
  .object({
    id: z.string(),
    revoked: z.array(z.string()).meta({ description: 'The ids of all tokens, sessions and shares that this ended.' }),
    current: flag('Whether the token of this request is among them. It does not work for another request then.'),
  })
  .meta({ id: 'RevokedToken' });

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

export type WireToken = z.infer<typeof wireToken>;
export type WireTokenList = z.infer<typeof wireTokenList>;
export type WireNewToken = z.infer<typeof wireNewToken>;
export type WireNewShare = z.infer<typeof wireNewShare>;
export type WireRevokedToken = z.infer<typeof wireRevokedToken>;
