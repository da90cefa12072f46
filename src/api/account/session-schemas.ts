import { z } from 'zod';
import { wireTime } from '../schemas.js';

export const sessionBody = z
  .strictObject({
    code: z.string().max(200).meta({ description: 'The code of a link that `POST /session/codes` made.' }),
  })
  .nullish();

export const wireSession = z
  .object({ id: z.string(), expires_at: wireTime.meta({ description: 'The end of the session, and of its cookie.' }) })
  .meta({ id: 'Session' });

export const wireEndedSession = z.object({ id: z.string(), ended: z.literal(true) });

export const wireSignInCode = z
  .object({
    code: z.string().meta({
      description:
        'Signs in once: open the page with `#code=` and this, or send it to `POST /session`. Add `&token=` and `token_id`, so that a page which is signed in with the token already does not ask.',
    }),
    token_id: z.string(),
    expires_at: wireTime,
  })
  .meta({ id: 'SignInCode' });

export type WireSession = z.infer<typeof wireSession>;
export type WireSignInCode = z.infer<typeof wireSignInCode>;
