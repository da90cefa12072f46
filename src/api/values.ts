import { z } from 'zod';
import { MAX_NAMES_PER_REQUEST } from './limits.js';
import { MAX_RAW_NAME_LENGTH } from '../dataset/names.js';
import { type LINK_SLOTS, ROLES } from '../dataset/pairs/roles.js';

// Zod compiles with `new Function`, which the page's Content-Security-Policy forbids.
z.config({ jitless: true });

export const text = (description: string) => z.string().describe(description);
export const flag = (description: string) => z.boolean().describe(description);

/** Not normalized yet. */
export const rawName = z.string().max(MAX_RAW_NAME_LENGTH);

export const nameList = z.array(rawName).max(MAX_NAMES_PER_REQUEST);

export const wireSha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .describe('SHA-256, lower-case hexadecimal.');

/** Stored as it was sent: Postgres can't hold NUL (datatype-character.html), and half of a surrogate pair has no UTF-8. */
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

/** A client accepts other words too, which a later version may add. */
export function wordOf<const Words extends readonly string[]>(words: Words) {
  return z.string().meta({ enum: [...words] }) as unknown as z.ZodType<Words[number], Words[number]>;
}

export const wireUrl = z.string().refine((text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
}, 'must be an HTTP URL without a user and a password');

/** No two objects have the same value in one of these fields. */
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

/** Zod speaks of `undefined`, which JSON does not have, and of keys. */
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
