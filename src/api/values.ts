import { z } from 'zod';
import { MAX_RAW_NAME_LENGTH } from '../dataset/names.js';
import { type LINK_SLOTS, ROLES } from '../dataset/pairs/roles.js';

// Zod compiles its parsers with `new Function`, which the Content-Security-Policy of the page reports and forbids.
z.config({ jitless: true });

/* Values that several schemas of requests and answers have. */

export const text = (description: string) => z.string().describe(description);
export const flag = (description: string) => z.boolean().describe(description);

/** A name in a request, before it is normalized. */
export const rawName = z.string().max(MAX_RAW_NAME_LENGTH);

export const wireSha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .describe('SHA-256, lower-case hexadecimal.');

/**
 * A text of a request that is stored as it was sent. Postgres can't hold NUL (datatype-character.html), and half of a surrogate
 * pair has no UTF-8. Names have stricter rules, of `dataset/names.ts`.
 */
export const storedText = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    .refine((text) => !/[\0\p{Surrogate}]/u.test(text), 'must be valid Unicode without NUL');

export const wireCount = z.int().min(0);

/** Other services with this API may leave out the microseconds, or write a zone. */
export const wireTime = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d/)
  .meta({
    pattern: String.raw`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$`,
    description: 'ISO 8601 in UTC with microseconds and without a zone suffix.',
    examples: ['2025-07-22T13:05:16.143086'],
  });

/** One of a few words in an answer. A client accepts others, since a later version may add words. */
export function wordOf<const Words extends readonly string[]>(words: Words) {
  return z.string().meta({ enum: [...words] }) as unknown as z.ZodType<Words[number], Words[number]>;
}

/** An HTTP URL in an answer, without a user and a password. */
export const wireUrl = z.string().refine((text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
}, 'must be an HTTP URL without a user and a password');

/** A list of objects of which no two have the same value in one of these fields. */
export function uniqueBy<S extends z.ZodObject>(schema: S, ...fields: (keyof z.infer<S> & string)[]) {
  return z.array(schema).superRefine((list, context) => {
    for (const field of fields) {
      const seen = new Set<unknown>();
      for (const item of list as Record<string, unknown>[]) {
        const value = item[field];
        if (seen.has(value)) context.addIssue(`has the ${field} ${JSON.stringify(value)} twice`);
        seen.add(value);
      }
    }
  });
}

export const wireStatus = z.enum(['DRAFT', 'UPLOADING', 'READY', 'FAILED']).meta({
  id: 'Status',
  description:
    'DRAFT: the dataset has no files and no pending uploads. UPLOADING: uploads are pending or being checked, or missing captions or controls may still follow. READY: all files are checked and fit to train on. FAILED: `error` says what is wrong; upload the missing or rejected files to repair it.',
});

export const wireRole = wordOf(ROLES).meta({
  id: 'Role',
  description:
    'What the files are for. training: images and clips to train on, with captions. control: images that an edit model gets beside those of a training dataset, of the same names. mask: images that say where the loss counts. A control or mask needs no captions.',
});

/** Zod's message for a missing field speaks of `undefined`, which JSON does not have, and that for an unknown one of a key. */
export function faultsIn({ issues }: z.ZodError): { path: string; message: string }[] {
  return issues.map(({ path, message }) => ({
    path: path.join('.'),
    message: message
      .replace(/^Invalid input: expected (\w+), received undefined$/, 'is missing; it must be of type $1')
      .replace(/^Unrecognized key(s?):/, 'Unknown field$1:'),
  }));
}

export type WireStatus = z.infer<typeof wireStatus>;
export type WireRole = (typeof ROLES)[number];
export type WireLinkSlot = (typeof LINK_SLOTS)[number];
