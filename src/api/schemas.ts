import { z } from 'zod';
import { MAX_RAW_NAME_LENGTH } from '../dataset/names.js';
import { MAX_NAMES_PER_REQUEST, MAX_PAGE_SIZE, MAX_WAIT_SECONDS } from './limits.js';

/*
 * The schemas of requests and answers. The server validates requests with them and generates the OpenAPI document from
 * them; the client takes its types from them. The fields of the hosted API keep its names and meanings; the others are
 * trainyard's own.
 */

export const wireTime = z.string().meta({
  description: 'ISO 8601 in UTC with microseconds and without a zone suffix.',
  examples: ['2025-07-22T13:05:16.143086'],
});

const sha256 = z.string().meta({ description: 'SHA-256, lower-case hexadecimal.' });

export const wireStatus = z.enum(['DRAFT', 'UPLOADING', 'READY', 'FAILED']).meta({
  id: 'Status',
  description:
    'DRAFT: the dataset has no files and no pending uploads. UPLOADING: uploads are pending or being checked, or missing captions may still follow. READY: all files are checked and fit to train on. FAILED: `error` says what is wrong; upload the missing or rejected files to repair it.',
});

export const wireProblem = z
  .object({
    code: z.string().meta({ examples: ['MISSING_CAPTION'] }),
    filename: z.string().optional(),
    message: z.string().meta({ description: 'What is wrong with which file, and what to do about it.' }),
  })
  .meta({ id: 'Problem' });

const wireError = z
  .object({
    code: z.string(),
    message: z.string(),
    problems: z.array(wireProblem).meta({ description: 'Each problem, at most 1,000; empty in lists of datasets.' }),
  })
  .meta({ id: 'DatasetError' });

export const wireDataset = z
  .object({
    id: z.string(),
    name: z.string(),
    status: wireStatus,
    created_at: wireTime,
    updated_at: wireTime,
    error: wireError.optional().meta({ description: 'Present only if the status is FAILED.' }),
    size_bytes: z.number().meta({ description: 'The sum over all stored files.' }),
    counts: z.object({
      images: z.number(),
      videos: z.number(),
      captions: z.number(),
      uncaptioned: z.number().meta({ description: 'Images and videos without a caption.' }),
      pending: z.number().meta({ description: 'Uploads that are reserved, in progress, or expired.' }),
      checking: z.number().meta({ description: 'Uploads that are complete and still being checked.' }),
      rejected: z.number().meta({ description: 'Uploads whose content was rejected.' }),
    }),
  })
  .meta({ id: 'Dataset' });

const fileKind = z.enum(['image', 'video', 'caption']);

export const wireFile = z
  .object({
    filename: z.string(),
    size_bytes: z.number(),
    content_type: z.string().meta({ description: 'Detected from the content; the declared type is ignored.' }),
    sha256,
    uploaded_at: wireTime,
    kind: fileKind,
    format: z
      .string()
      .optional()
      .meta({ description: 'Detected from the content: `jpeg`, `mp4`, …', examples: ['jpeg'] }),
    width: z.number().optional().meta({ description: 'In pixels, with the orientation applied.' }),
    height: z.number().optional(),
    duration_seconds: z.number().optional(),
    frames: z.number().optional(),
    frames_per_second: z.number().optional(),
    codec: z.string().optional(),
    has_audio: z.boolean().optional(),
    characters: z.number().optional().meta({ description: 'The length of a caption in code points.' }),
    warnings: z.array(wireProblem).optional(),
    problem: wireProblem.optional().meta({ description: 'Found by a recheck: the file was accepted and is damaged.' }),
  })
  .meta({ id: 'File' });

const digest = sha256.meta({
  description:
    'The fingerprint of exactly this set of files: the SHA-256 over the lines `sha256  filename\\n` in byte order of the filenames. Present only if the dataset is READY.',
});

const wireAwaited = z
  .object({
    filename: z.string(),
    until: wireTime.meta({ description: 'When the reservation expires; the dataset is FAILED from then on.' }),
  })
  .meta({ id: 'Awaited' });

const wireChecking = z
  .object({
    filename: z.string(),
    size_bytes: z.number(),
    sha256,
    since: wireTime.meta({ description: 'When all bytes had been received.' }),
  })
  .meta({ id: 'Checking' });

export const wireDatasetWithFiles = wireDataset
  .extend({
    files: z.array(wireFile).meta({ description: 'Complete and valid files only.' }),
    awaited: z.array(wireAwaited).optional().meta({
      description: 'Pending uploads, ordered by filename, at most 1,000; absent if there are none.',
    }),
    checking: z.array(wireChecking).optional().meta({
      description:
        'Complete uploads whose check goes on after their answer, ordered by filename, at most 1,000; absent if there are none. Each ends in `files` or in `error.problems`.',
    }),
    damaged: z.array(wireFile).optional().meta({
      description:
        'Files that were accepted and that a recheck found damaged, each with its `problem`; absent if there are none. They can be downloaded, replaced and deleted.',
    }),
    warnings: z.array(wireProblem),
    digest: digest.optional(),
  })
  .meta({ id: 'DatasetWithFiles' });

export const wireManifest = z
  .object({
    dataset_id: z.string(),
    name: z.string(),
    status: wireStatus,
    digest: digest.optional(),
    files: z.array(wireFile),
  })
  .meta({ id: 'Manifest' });

export const wireDatasetList = z
  .object({
    datasets: z.array(wireDataset),
    next_cursor: z.string().nullable().optional().meta({
      description: 'The `cursor` of the next page, `null` on the last page; present only if `limit` was given.',
    }),
  })
  .meta({ id: 'DatasetList' });

export const wireUploadedFile = wireFile
  .extend({
    dataset_id: z.string(),
    checking: z.literal(true).optional().meta({
      description: 'The upload is complete, and its check goes on. The dataset is UPLOADING until it ends.',
    }),
  })
  .meta({ id: 'UploadedFile' });

export const wireUploadLinks = z
  .object({
    uploads: z.record(
      z.string(),
      z.object({
        upload_url: z.string(),
        method: z.literal('PUT'),
        headers: z.record(z.string(), z.string()).meta({ description: 'Headers to send with the PUT.' }),
        expires_at: wireTime,
      }),
    ),
  })
  .meta({ id: 'UploadLinks' });

export const wireFilePage = z
  .object({
    files: z.array(wireFile),
    next_after: z.string().nullable().meta({ description: 'The `after` of the next page, `null` on the last page.' }),
  })
  .meta({ id: 'FilePage' });

export const wireCaption = z
  .object({
    filename: z.string(),
    sha256,
    text: z.string().nullable().meta({
      description: 'Without a byte order mark; `null` for captions over 64 KiB, which can be read like any other file.',
    }),
  })
  .meta({ id: 'Caption' });

export const wireCaptions = z.object({ captions: z.array(wireCaption) }).meta({ id: 'Captions' });

export const wireReadLink = z
  .object({
    query: z.string().meta({
      description:
        'The query to append to URLs of files, thumbnails and the zip archive of this dataset; with it, they need no token.',
    }),
    expires_at: wireTime.meta({ description: 'Between one and two hours from now; constant for an hour.' }),
  })
  .meta({ id: 'ReadingLink' });

export const wireDeletedDataset = z.object({ id: z.string(), deleted: z.literal(true) });
export const wireDeletedFile = z.object({ filename: z.string(), deleted: z.literal(true) });
export const wireWithdrawnUpload = z.object({ filename: z.string(), withdrawn: z.literal(true) });

/** A name in a request, before it is normalized. */
const rawName = z.string().max(MAX_RAW_NAME_LENGTH);

/** A body that is not JSON. */
export const wireBytes = z.unknown().meta({ description: 'The bytes.' });

export const wireErrorBody = z
  .object({
    error_code: z.number().meta({ description: 'The HTTP status followed by three digits.', examples: [404001] }),
    error_message: z.string().meta({ description: 'What is wrong, with which file or field, and what to do.' }),
    detail: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Error' });

export const createBody = z
  .object({
    name: rawName.nullish().meta({
      description:
        'Unique within the account; letters, digits, spaces and . _ - up to 128 bytes. Generated if omitted.',
    }),
  })
  .nullish();

export const uploadLinksBody = z.object({
  // Sizes are checked with the names: a schema would report an error for each of a million wrong values.
  filenameToByteSize: z.record(z.string(), z.unknown().meta({ type: 'number' })).meta({
    description: 'The exact size of each file in bytes.',
    examples: [{ 'clip.mp4': 200_000_000 }],
  }),
});

export const namesBody = z.object({
  filenames: z.array(rawName).min(1).max(MAX_NAMES_PER_REQUEST).meta({ description: 'Filenames in the dataset.' }),
});

export const listQuery = z.object({
  limit: z.coerce.number().int().min(1).max(MAX_PAGE_SIZE).optional(),
  cursor: z.string().max(MAX_RAW_NAME_LENGTH).optional(),
  status: wireStatus.optional(),
  name: rawName.optional().meta({ description: 'Only the dataset with exactly this name.' }),
});

export const filesQuery = z.object({
  limit: z.coerce.number().int().min(1).max(MAX_PAGE_SIZE).default(100),
  kind: fileKind.optional(),
  after: rawName.optional().meta({ description: 'Only files whose names sort after this one.' }),
});

export const statusQuery = z.object({
  wait: z.coerce.number().min(0).max(MAX_WAIT_SECONDS).optional().meta({
    description: 'Seconds to wait, at most 60, until the status is READY or FAILED or changes.',
  }),
});

/** Without the signature of a read link, which authentication reads. */
export const thumbnailQuery = z.object({
  sha256: z.string().max(MAX_RAW_NAME_LENGTH).optional().meta({
    description:
      "The file's SHA-256. If it matches, the answer may be cached for good, because the bytes of this URL never change.",
  }),
});

export const fileQuery = thumbnailQuery.extend({
  download: z
    .enum(['true', 'false'])
    .optional()
    .meta({ description: 'Whether a browser saves the file instead of showing it.' }),
});

export const datasetParams = z.object({ id: z.string().max(MAX_RAW_NAME_LENGTH) });
export const fileParams = datasetParams.extend({ filename: rawName });

const wireFfmpeg = z.object({ path: z.string(), version: z.string() });
export const wireReadiness = z
  .object({
    status: z.literal('ready'),
    ffmpeg: wireFfmpeg.nullable().meta({ description: 'Decodes the frames of clips; null if there is none.' }),
  })
  .meta({ id: 'Readiness' });

export type WireDataset = z.infer<typeof wireDataset>;
export type WireDatasetWithFiles = z.infer<typeof wireDatasetWithFiles>;
export type WireFile = z.infer<typeof wireFile>;
export type WireFileKind = WireFile['kind'];
export type WireFilePage = z.infer<typeof wireFilePage>;
export type WireChecking = z.infer<typeof wireChecking>;
export type WireAwaited = z.infer<typeof wireAwaited>;
export type WireProblem = z.infer<typeof wireProblem>;
export type WireCaption = z.infer<typeof wireCaption>;
export type WireManifest = z.infer<typeof wireManifest>;
export type WireStatus = z.infer<typeof wireStatus>;
export type WireDatasetList = z.infer<typeof wireDatasetList>;
export type WireUploadedFile = z.infer<typeof wireUploadedFile>;
export type WireUploadLink = z.infer<typeof wireUploadLinks>['uploads'][string];
export type WireReadLink = z.infer<typeof wireReadLink>;
export type WireErrorBody = z.infer<typeof wireErrorBody>;
