import { z } from 'zod';
import { wireLinkedFrom, wireLinks, wireManifestLinks } from './pair-schemas.js';
import { wireCount as count, wireSha256 as sha256, wireRole, wireStatus } from './values.js';

/*
 * The schemas of answers. The server generates the OpenAPI document from them; the client takes its types from them. The
 * fields of the hosted API keep its names and meanings; the others are trainyard's own.
 */

export const wireTime = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/)
  .meta({
    description: 'ISO 8601 in UTC with microseconds and without a zone suffix.',
    examples: ['2025-07-22T13:05:16.143086'],
  });

const wireEtag = z
  .string()
  .regex(/^"[0-9a-f]{64}"$/)
  .meta({ description: 'The strong ETag of the file: its SHA-256 in quotation marks.' });

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
    role: wireRole,
    status: wireStatus,
    created_at: wireTime,
    updated_at: wireTime,
    error: wireError.optional().meta({ description: 'Present only if the status is FAILED.' }),
    size_bytes: count.meta({ description: 'The sum over all stored files.' }),
    counts: z.object({
      images: count,
      videos: count,
      captions: count,
      uncaptioned: count.meta({
        description: 'Images and videos without a caption; 0 for a control or mask, which needs none.',
      }),
      unpaired: count.meta({
        description: 'Errors of the pairs with the controls and the mask of this dataset; 0 without links.',
      }),
      pending: count.meta({ description: 'Uploads that are reserved, in progress, or expired.' }),
      checking: count.meta({ description: 'Uploads that are complete and still being checked.' }),
      rejected: count.meta({ description: 'Uploads whose content was rejected.' }),
    }),
  })
  .meta({ id: 'Dataset' });

export const fileKind = z.enum(['image', 'video', 'caption']);

export const wireFile = z
  .object({
    filename: z.string(),
    size_bytes: count,
    content_type: z.string().meta({ description: 'Detected from the content; the declared type is ignored.' }),
    sha256,
    etag: wireEtag,
    uploaded_at: wireTime,
    kind: fileKind,
    format: z
      .string()
      .optional()
      .meta({ description: 'Detected from the content: `jpeg`, `mp4`, …', examples: ['jpeg'] }),
    width: count.optional().meta({ description: 'In pixels, with the orientation applied.' }),
    height: count.optional(),
    duration_seconds: z.number().min(0).optional(),
    frames: count.optional(),
    frames_per_second: z.number().min(0).optional(),
    codec: z.string().optional(),
    has_audio: z.boolean().optional(),
    characters: count.optional().meta({ description: 'The length of a caption in code points.' }),
    warnings: z.array(wireProblem).optional(),
    problem: wireProblem.optional().meta({ description: 'Found by a recheck: the file was accepted and is damaged.' }),
  })
  .meta({ id: 'File' });

const digest = sha256.meta({
  description:
    'The fingerprint of exactly this set of files: the SHA-256 over the lines `sha256  filename\\n` in byte order of the filenames. With links, that over the lines `digest  files\\n`, of its own files, and `digest  control_1\\n`, …, `digest  mask\\n` of the linked datasets. Present only if the dataset is READY.',
});

const filesDigest = sha256.meta({
  description: 'With links: the fingerprint of the own files alone. Present only if the dataset is READY.',
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
    size_bytes: count,
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
    interrupted: z.literal(true).optional().meta({
      description:
        'Present if no client seems to send the pending uploads: no bytes of them are being received, and nothing in the dataset has changed for 30 seconds; for uploads to a bucket, for a minute more and as long as a slow connection takes.',
    }),
    checking: z.array(wireChecking).optional().meta({
      description:
        'Complete uploads whose check continues after their answer, ordered by filename, at most 1,000; absent if there are none. Each ends in `files` or in `error.problems`.',
    }),
    damaged: z.array(wireFile).optional().meta({
      description:
        'Files that were accepted and that a recheck found damaged, each with its `problem`; absent if there are none. They can be downloaded, replaced and deleted.',
    }),
    warnings: z.array(wireProblem),
    digest: digest.optional(),
    files_digest: filesDigest.optional(),
    links: wireLinks.optional(),
    linked_from: wireLinkedFrom.optional(),
  })
  .meta({ id: 'DatasetWithFiles' });

export const wireManifest = z
  .object({
    dataset_id: z.string(),
    name: z.string(),
    revision: count.optional().meta({
      description: 'The number of the revision that has these files; 0 if no file was ever stored.',
    }),
    status: wireStatus.meta({ description: 'Of an earlier revision: READY or FAILED, by its files alone.' }),
    digest: digest.optional(),
    files_digest: filesDigest.optional(),
    links: wireManifestLinks.optional(),
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

/** In the answer to a write. */
export const wireRevisionNumber = z.int().optional().meta({
  description: 'The last revision of the history to which this change belongs; missing if no stored file changed.',
});

export const wireUploadedFile = wireFile
  .extend({
    dataset_id: z.string(),
    revision: wireRevisionNumber,
    checking: z.literal(true).optional().meta({
      description: 'The upload is complete, and its check continues. The dataset is UPLOADING until it ends.',
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
    etag: wireEtag,
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
export const wireDeletedFile = z.object({
  filename: z.string(),
  deleted: z.literal(true),
  revision: wireRevisionNumber,
});
export const wireWithdrawnUpload = z.object({ filename: z.string(), withdrawn: z.literal(true) });

/** A body that is not JSON. */
export const wireBytes = z.unknown().meta({ type: 'string', format: 'binary' });

/** The file under the name of a write whose condition was not met. */
export const wireCurrentFile = z.object({ etag: wireEtag, size_bytes: count }).meta({ id: 'CurrentFile' });

export const wireErrorBody = z
  .object({
    error_code: z.int().meta({ description: 'The HTTP status followed by three digits.', examples: [404001] }),
    error_message: z.string().meta({ description: 'What is wrong, with which file or field, and what to do.' }),
    detail: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
    current: wireCurrentFile.nullable().optional().meta({
      description: 'With 412 only: the file that the write would have replaced, null if there is none.',
    }),
  })
  .meta({ id: 'Error' });

export const wireHealth = z.object({ status: z.literal('ok') });

const wireFfmpeg = z.object({ path: z.string(), version: z.string() });
export const wireReadiness = z
  .object({
    status: z.literal('ready'),
    ffmpeg: wireFfmpeg.nullable().meta({ description: 'Decodes the frames of clips; null if there is none.' }),
    upload_links_to: z
      .enum(['bucket', 'service'])
      .meta({ description: 'Where upload links lead. With a bucket, the log says why they lead to the service.' }),
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
export type WireCaptions = z.infer<typeof wireCaptions>;
export type WireManifest = z.infer<typeof wireManifest>;
export type WireDatasetList = z.infer<typeof wireDatasetList>;
export type WireUploadedFile = z.infer<typeof wireUploadedFile>;
export type WireUploadLink = z.infer<typeof wireUploadLinks>['uploads'][string];
export type WireReadLink = z.infer<typeof wireReadLink>;
export type WireCurrentFile = z.infer<typeof wireCurrentFile>;
export type WireErrorBody = z.infer<typeof wireErrorBody>;
