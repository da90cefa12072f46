import { z } from 'zod';
import { ROLES } from '../dataset/pairs/roles.js';
import { MEDIA_CHOICES } from '../dataset/train/training-dataset.js';
import {
  MAX_BATCH_FILES,
  MAX_NAMES_PER_REQUEST,
  MAX_PAGE_SIZE,
  MAX_PIN_NOTE_LENGTH,
  MAX_REVISIONS_PER_PAGE,
  MAX_WAIT_SECONDS,
} from './limits.js';
import { FILE_KINDS } from './schemas.js';
import { nameList, rawName, storedText, text, wireRole, wireStatus } from './values.js';

/* Bodies of our own routes have no further fields, so that no misspelt restriction is ignored; the hosted API's may have. */

/** Unlike an answer, a request has no other roles. */
const role = z.enum(ROLES).meta({ description: wireRole.description });

export const createBody = z
  .object({
    name: rawName
      .nullish()
      .describe('Unique within the account; letters, digits, spaces and . _ - up to 128 bytes. Generated if omitted.'),
    role: role.nullish().meta({ description: '`training` if omitted.' }),
  })
  .nullish();

export const datasetChangeBody = z
  .strictObject({ name: rawName.optional(), role: role.optional() })
  .refine((changes) => Object.keys(changes).length > 0, 'must have a name or a role')
  .meta({ minProperties: 1 });

/** Values are checked with the names: a schema would report each wrong one, and take twice as long as parsing. */
const valuesByName = (type: string | readonly string[]) =>
  z
    .unknown()
    .refine((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'must be an object')
    .meta({
      type: 'object',
      propertyNames: { type: 'string' },
      additionalProperties: { type },
    }) as unknown as z.ZodType<Record<string, unknown>>;

export const uploadLinksBody = z.object({
  filenameToByteSize: valuesByName('number').meta({
    description: 'The exact size of each file in bytes.',
    examples: [{ 'clip.mp4': 200_000_000 }],
  }),
  ifMatch: valuesByName(['string', 'null']).optional().meta({
    description:
      'The ETag that a file must have when its upload replaces it, by filename; null: no file of that name may exist. Otherwise the upload is answered with 412, and nothing is stored.',
  }),
});

const filenames = nameList.min(1);

/** Checked one by one, as sizes are. */
const etagOrNull = z.unknown().meta({ type: ['string', 'null'] });

export const namesBody = z.strictObject({ filenames: filenames.describe('Filenames in the dataset.') });

export const captionsBody = z.strictObject({
  captions: z
    .array(
      z.strictObject({
        filename: rawName,
        text: text('At most 65,536 bytes of UTF-8.'),
        ifMatch: etagOrNull
          .optional()
          .describe(
            'The ETag that the stored caption must have; null: there must be none. Without it, the caption is saved in any case.',
          ),
      }),
    )
    .min(1)
    .max(MAX_NAMES_PER_REQUEST),
});

export const removalBody = z.strictObject({
  filenames,
  ifMatch: z.record(rawName, etagOrNull).optional().meta({
    description: 'The ETag that a file must have, by filename. Files that are not named here are deleted in any case.',
  }),
});

export const withdrawalBody = removalBody.pick({ filenames: true });

/** A number in a query. `z.coerce` would also take `0x10` and an empty text. */
export function fromDigits<S extends z.ZodType<number>>(schema: S) {
  return z.preprocess((text) => (/^-?\d+(\.\d+)?$/.test(String(text)) ? Number(text) : text), schema);
}

export const trueOrFalse = z.enum(['true', 'false']).optional();
const pageSize = fromDigits(z.int().min(1).max(MAX_PAGE_SIZE));
const after = rawName.optional().describe('Only files whose names sort after this one.');

export const listQuery = z.object({
  limit: pageSize.optional(),
  cursor: rawName.optional(),
  status: wireStatus.optional(),
  name: rawName.optional().describe('Only the dataset with exactly this name.'),
  role: role.optional().describe('Only datasets with this role.'),
});

export const filesQuery = z.object({
  limit: pageSize.default(100),
  kind: z.enum(FILE_KINDS).optional(),
  after,
});

export const statusQuery = z.object({
  wait: fromDigits(z.number().min(0).max(MAX_WAIT_SECONDS)).optional().meta({
    description: 'Seconds to wait, at most 60, until the status is READY or FAILED or changes.',
  }),
});

export const eventsQuery = z.object({
  linked: trueOrFalse.describe(
    '`true`: also send the events of the controls and the mask that the dataset is linked to, each with the `id` of its dataset.',
  ),
});

export const revisionNumber = fromDigits(z.int().min(1));

export const revisionQuery = z.object({
  revision: revisionNumber.optional().describe('Read the files of this revision instead of the latest.'),
});

export const manifestQuery = revisionQuery.extend({
  digest: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/)
    .optional()
    .meta({ description: 'Read the newest kept state with this digest that is READY, instead of the latest.' }),
});

export const revisionsQuery = z.object({
  limit: fromDigits(z.int().min(1).max(MAX_REVISIONS_PER_PAGE)).default(50),
  before: revisionNumber.optional().describe('Only revisions with smaller numbers.'),
});

export const revisionDiffQuery = z.object({
  from: fromDigits(z.int().min(0)).meta({ description: '0 stands for no files.' }),
  to: fromDigits(z.int().min(0)),
  limit: pageSize.default(100).describe('Names on one page. A page with long captions has fewer.'),
  after,
});

export const pinBody = z
  .strictObject({
    note: storedText(MAX_PIN_NOTE_LENGTH).nullish().meta({ description: 'Why the revision is kept.' }),
  })
  .nullish();

export const ZIP_FORMS = ['files', 'kohya', 'metadata', 'captions'] as const;
export type ZipForm = (typeof ZIP_FORMS)[number];

export const exportQuery = revisionQuery.extend({
  only: z.enum(MEDIA_CHOICES).optional().describe('Only images or only videos, with their captions.'),
});

export const zipQuery = exportQuery.extend({
  as: z.enum(ZIP_FORMS).default('files').meta({
    description:
      '`files`: as they are. `kohya`: in folders `10_name` of the groups, those of regularisation in `reg`. `metadata`: images and clips, and their captions in `metadata.jsonl`; its size is not known in advance. `captions`: the captions alone.',
  }),
});

export const selectionBody = z.strictObject({
  filenames: z.array(rawName).min(1).max(MAX_BATCH_FILES).describe('Filenames in the dataset.'),
});

/** Authentication reads the signature of a read link. */
export const thumbnailQuery = revisionQuery.extend({
  sha256: rawName.optional().meta({
    description:
      "The file's SHA-256. If it matches, the answer may be cached for good, because the bytes of this URL never change.",
  }),
});

export const fileQuery = thumbnailQuery.extend({
  download: trueOrFalse.describe('Whether a browser saves the file instead of showing it.'),
});

export const tarLinkQuery = manifestQuery.extend({
  seconds: fromDigits(
    z
      .int()
      .min(60)
      .max(7 * 86_400),
  )
    .default(3600)
    .describe('How long the link is valid, from a minute to a week. It ends with the token at the latest.'),
});

export const uploadQuery = z.object({ size: z.string(), expires: z.string(), signature: z.string() }).partial();
