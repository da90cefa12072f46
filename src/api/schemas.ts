import { z } from 'zod';
import {
  type WireLinkSlot,
  flag,
  nameList,
  rawName,
  text,
  uniqueBy,
  wireCount as count,
  wireRole,
  wireSha256 as sha256,
  wireStatus,
  wireTime,
  wireUrl,
  wordOf,
} from './values.js';
import { MAX_REPEATS } from '../dataset/groups.js';
import { LINK_SLOTS } from '../dataset/pairs/roles.js';

/* The schemas of groups of files. All of it is trainyard's own. */

const repeats = z.int().min(1).max(MAX_REPEATS).describe('How often a trainer reads each file in one epoch.');
const isReg = z.boolean().describe('Whether the files are regularisation images.');

export const wireGroup = z
  .object({
    name: z.string(),
    repeats: repeats.max(Number.MAX_SAFE_INTEGER),
    is_reg: isReg,
    files: count.describe('Its stored files, captions included.'),
  })
  .meta({ id: 'Group' });

export const wireGroups = z.array(wireGroup).describe('The groups of the files, by name; absent if there are none.');

export const groupBody = z.strictObject({
  repeats: repeats.optional().describe('Missing: as before, or 1 for a new group.'),
  is_reg: isReg.optional().describe('Missing: as before, or false for a new group.'),
  add: nameList
    .optional()
    .describe(
      'Files to put into the group, out of any other. A picture, its captions and all files of its stem go together.',
    ),
  remove: nameList.optional().describe('Files to take out of the group, with all files of their stems.'),
});

export const wireDeletedGroup = z.object({ name: z.string(), deleted: z.literal(true) });

export type WireGroup = z.infer<typeof wireGroup>;
export type WireGroupChange = z.input<typeof groupBody>;

/* The schemas of links between datasets, in requests and answers. All of it is trainyard's own. */

const stems = z
  .object({ count, stems: z.array(z.string()).describe('In order, at most 1,000.') })
  .meta({ id: 'Stems', description: 'Names of files without their extensions.' });

const wireLink = z
  .object({
    dataset_id: z.string(),
    name: z.string(),
    role: wireRole,
    status: wireStatus,
    digest: sha256.optional().describe('Of the linked dataset; present only if it is READY.'),
    missing: stems.describe('Images of the training dataset without a control or mask of the same stem.'),
    extra: stems.describe('Controls or masks without an image of the same stem in the training dataset.'),
    ambiguous: stems.describe('Stems of which the linked dataset has several images.'),
    misfit: stems.describe('Pairs at whose sizes the trainer stops, or counts the wrong region.'),
    stretched: stems.describe('Pairs of different aspect ratios, which is a warning.'),
  })
  .meta({ id: 'Link' });

/** Each field may be missing. */
function bySlot<S extends z.ZodType>(schema: S) {
  const fields = Object.fromEntries(LINK_SLOTS.map((slot) => [slot, schema.optional()]));
  return z.object(fields as Record<WireLinkSlot, z.ZodOptional<S>>);
}

export const wireLinks = bySlot(wireLink).meta({
  id: 'Links',
  description:
    'The controls and the mask of a training dataset, and what is wrong with the pairs. Empty for a share link, which shows one dataset alone.',
});

export const wireLinkedFrom = z
  .array(z.object({ id: z.string(), name: z.string() }))
  .describe('The training datasets that link to this control or mask, by name, at most 100.');

export const wireManifestLinks = bySlot(
  z.object({
    dataset_id: z.string(),
    name: z.string(),
    revision: count,
    digest: sha256.optional().describe('Present only if the linked dataset is READY.'),
  }),
).meta({ id: 'ManifestLinks', description: 'The states of the linked datasets at the same moment.' });

export const wireLinkStates = z.object({ links: wireLinks, status: wireStatus }).meta({ id: 'LinkStates' });

const nameOrId = rawName.nullish().describe('The id or the name of a dataset of the account; null or missing: none.');

export const linksBody = bySlot(nameOrId).strict();

export type WireLink = z.infer<typeof wireLink>;
export type WireLinks = z.infer<typeof wireLinks>;
export type WireLinkStates = z.infer<typeof wireLinkStates>;
export type WireManifestLinks = z.infer<typeof wireManifestLinks>;

export const FILE_KINDS = ['image', 'video', 'caption'] as const;

/* Fields of the hosted API keep its names and meanings; the others are trainyard's own. */

export const wireEtag = z
  .string()
  .regex(/^"[0-9a-f]{64}"$/)
  .describe('The strong ETag of the file: its SHA-256 in quotation marks.');

export const wireProblem = z
  .object({
    code: z.string().meta({ examples: ['MISSING_CAPTION'] }),
    filename: z.string().optional(),
    message: text('What is wrong with which file, and what to do about it.'),
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
    error: wireError.optional().describe('Present only if the status is FAILED.'),
    size_bytes: count.describe('The sum over all stored files.'),
    linked_ids: z
      .array(z.string())
      .optional()
      .describe('Its controls and its mask; in lists and events of the account.'),
    counts: z.object({
      images: count,
      videos: count,
      captions: count,
      uncaptioned: count.describe(
        'Images and videos without a `.txt` caption; 0 for a control or mask, which needs none.',
      ),
      unpaired: count.describe('Errors of the pairs with the controls and the mask of this dataset; 0 without links.'),
      pending: count.describe('Uploads that are reserved, in progress, or expired.'),
      checking: count.describe('Uploads that are complete and still being checked.'),
      rejected: count.describe('Uploads whose content was rejected.'),
    }),
  })
  .meta({ id: 'Dataset' });

export const wireFile = z
  .object({
    filename: z.string(),
    size_bytes: count,
    content_type: text('Detected from the content; the declared type is ignored.'),
    sha256,
    etag: wireEtag,
    uploaded_at: wireTime,
    kind: wordOf(FILE_KINDS),
    format: z
      .string()
      .optional()
      .meta({ description: 'Detected from the content: `jpeg`, `mp4`, …', examples: ['jpeg'] }),
    width: count.optional().describe('In pixels, with the orientation applied.'),
    height: count.optional(),
    duration_seconds: z.number().min(0).optional(),
    frames: count.optional(),
    frames_per_second: z.number().min(0).optional(),
    codec: z.string().optional(),
    has_audio: z.boolean().optional(),
    audio: z
      .object({
        codec: z.string().optional(),
        sample_rate: count.optional().describe('In hertz.'),
        channels: count.optional(),
        duration_seconds: z.number().min(0).optional().describe('Compare it with the `duration_seconds` of the clip.'),
      })
      .optional()
      .describe('The first sound track of a clip, as far as its container describes it.'),
    group: z.string().optional().describe('The name of its group, which is one of `groups`.'),
    characters: count.optional().describe('The length of a caption in code points.'),
    thumbhash: z.string().optional().meta({
      description:
        'A placeholder of an image or of the first frame of a clip, as thumbhash libraries read it, in Base64. Present once the thumbnail is made, soon after the upload, if there is one.',
    }),
    origin: z
      .object({
        by: wordOf(['person', 'model']),
        model: z.string().optional(),
        preset: z.string().optional().describe('Missing for a prompt of its own.'),
      })
      .optional()
      .describe(
        'Who wrote a caption. person: on the page, or a proposal that was edited. model: it was stored or accepted as the model wrote it. Missing for a caption that was uploaded or pushed.',
      ),
    warnings: z.array(wireProblem).optional(),
    problem: wireProblem.optional().describe('Found by a recheck: the file was accepted and is damaged.'),
  })
  .meta({ id: 'File' });

const digest = sha256.describe(
  'The fingerprint of exactly this set of files: the SHA-256 over the lines `sha256  filename\\n` in byte order of the filenames. With links, that over the lines `digest  files\\n`, of its own files, and `digest  control_1\\n`, …, `digest  mask\\n` of the linked datasets. Present only if the dataset is READY.',
);

const filesDigest = sha256.describe(
  'With links: the fingerprint of the own files alone. Present only if the dataset is READY.',
);

const wireAwaited = z
  .object({
    filename: z.string(),
    until: wireTime.describe('When the reservation expires; the dataset is FAILED from then on.'),
  })
  .meta({ id: 'Awaited' });

const wireChecking = z
  .object({
    filename: z.string(),
    size_bytes: count,
    sha256,
    since: wireTime.describe('When all bytes had been received.'),
  })
  .meta({ id: 'Checking' });

export const wireDatasetWithFiles = wireDataset
  .extend({
    files: uniqueBy(wireFile, 'filename').describe('Complete and valid files only.'),
    groups: wireGroups.optional(),
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
    revision: count
      .optional()
      .describe('The number of the revision that has these files; 0 if no file was ever stored.'),
    status: wireStatus.describe('Of an earlier revision: READY or FAILED, by its files alone.'),
    digest: digest.optional(),
    files_digest: filesDigest.optional(),
    links: wireManifestLinks.optional(),
    groups: wireGroups.optional(),
    files: uniqueBy(wireFile, 'filename'),
  })
  .meta({ id: 'Manifest' });

export const wireDatasetList = z
  .object({
    datasets: uniqueBy(wireDataset, 'id', 'name'),
    next_cursor: z.string().nullable().optional().meta({
      description: 'The `cursor` of the next page, `null` on the last page; present only if `limit` was given.',
    }),
  })
  .meta({ id: 'DatasetList' });

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

/** With other headers, a link could make a client act in its user's network, or the store copy or publish objects. */
const UPLOAD_HEADER =
  /^(content-(type|md5)|if-none-match|x-amz-(checksum-\w+|content-sha256|server-side-encryption(-aws-kms-key-id)?)|x-goog-content-length-range|x-ms-blob-type)$/i;

export const wireUploadLinks = z
  .object({
    uploads: z.record(
      z.string(),
      z.object({
        upload_url: wireUrl,
        method: z.literal('PUT'),
        headers: z
          .record(z.string(), z.string())
          .refine(
            (headers) => Object.keys(headers).every((name) => UPLOAD_HEADER.test(name)),
            'has a header which no upload needs',
          )
          .describe('Headers to send with the PUT.'),
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

const wireCaption = z
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

export const wireDownloadLink = z
  .object({
    query: text(
      'The query to append to URLs of files, thumbnails and the zip archive of this dataset; with it, they need no token.',
    ),
    expires_at: wireTime.describe('Between one and two hours from now; constant for an hour.'),
  })
  .meta({ id: 'DownloadLink' });

export const wireDeletedDataset = z.object({ id: z.string(), deleted: z.literal(true) });
export const wireDeletedFile = z.object({
  filename: z.string(),
  deleted: z.literal(true),
  revision: wireRevisionNumber,
});
export const wireWithdrawnUpload = z.object({ filename: z.string(), withdrawn: z.literal(true) });

export const wireBytes = z.unknown().meta({ type: 'string', format: 'binary' });

export const wireCurrentFile = z.object({ etag: wireEtag, size_bytes: count }).meta({ id: 'CurrentFile' });

export const wireErrorBody = z
  .object({
    error_code: z.int().meta({ description: 'The HTTP status followed by three digits.', examples: [404001] }),
    error_message: text('What is wrong, with which file or field, and what to do.'),
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
    ffmpeg: wireFfmpeg.nullable().describe('Decodes the frames of clips; null if there is none.'),
    upload_links_to: wordOf(['bucket', 'service']).describe(
      'Where upload links lead. With a bucket, the log says why they lead to the service.',
    ),
  })
  .meta({ id: 'Readiness' });

/* The schemas of answers to requests that write or remove several files. */

export const wireSavedCaptions = z
  .object({
    captions: z
      .array(
        z.object({
          filename: z.string(),
          saved: z.boolean(),
          file: wireFile.optional().describe('The caption, if it was saved.'),
          current: wireCurrentFile.nullable().optional().meta({
            description: 'If its `ifMatch` was not met: the stored caption, null if there is none.',
          }),
          problem: wireProblem.optional().describe('If its text was rejected.'),
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
          deleted: flag('False if there is no such file, or its `ifMatch` was not met.'),
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
          withdrawn: flag('False if there is no pending or rejected upload of that name.'),
        }),
      )
      .meta({ description: 'One for each filename, in the order of the request.' }),
  })
  .meta({ id: 'WithdrawnUploads' });

export const wireRecheck = z
  .object({
    dataset_id: z.string(),
    state: wordOf(['never', 'running', 'finished']).describe('Of the last recheck; `never` if there was none.'),
    total: count.describe('Files of the dataset when the recheck started.'),
    checked: count.describe('Files that have been inspected again.'),
    started_at: wireTime.optional(),
    finished_at: wireTime.optional(),
    problems: z.array(wireProblem).meta({
      description: 'One for each file that was accepted and is damaged, ordered by filename, at most 1,000.',
    }),
  })
  .meta({ id: 'Recheck' });

export const wireTarLink = z
  .object({
    url: wireUrl.describe('The tar archive, without a token.'),
    sha256sums_url: wireUrl.describe('The list for `sha256sum -c`, without a token.'),
    script_url: wireUrl.describe('The shell script that mounts the archive of a link.'),
    expires_at: wireTime,
    ...wireManifest.required().pick({ dataset_id: true, name: true, revision: true, digest: true }).shape,
    links: wireManifestLinks.optional(),
    files: count.describe('The number of files, those of linked datasets included.'),
    bytes: count.describe('Their size.'),
  })
  .meta({ id: 'TarLink' });

/* Accepted from any service with this API. The hosted one has none of trainyard's own fields. */
export const anyDataset = wireDataset.partial({ role: true, size_bytes: true, counts: true });
const anyFile = wireFile.partial().extend({ filename: z.string(), size_bytes: count });
export const anyDatasetList = wireDatasetList.extend({ datasets: uniqueBy(anyDataset, 'id', 'name') });
export const anyDatasetWithFiles = wireDatasetWithFiles
  .partial({ role: true, size_bytes: true, counts: true, warnings: true })
  .extend({ files: uniqueBy(anyFile, 'filename') });
export const anyUploadedFile = wireUploadedFile.partial();
export const anyUploadLinks = z.object({
  uploads: z.record(
    z.string(),
    wireUploadLinks.shape.uploads.valueType.partial({ headers: true }).extend({ expires_at: z.string().optional() }),
  ),
});

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
export type WireUploadedFile = z.infer<typeof wireUploadedFile>;
export type WireUploadLink = z.infer<typeof wireUploadLinks>['uploads'][string];
export type WireDownloadLink = z.infer<typeof wireDownloadLink>;
export type WireCurrentFile = z.infer<typeof wireCurrentFile>;
export type WireErrorBody = z.infer<typeof wireErrorBody>;
export type WireSavedCaptions = z.infer<typeof wireSavedCaptions>;
export type WireRemovedFiles = z.infer<typeof wireRemovedFiles>;
export type WireWithdrawnUploads = z.infer<typeof wireWithdrawnUploads>;
export type WireRecheck = z.infer<typeof wireRecheck>;
export type WireTarLink = z.infer<typeof wireTarLink>;

/* The schemas of duplicates. All of it is trainyard's own. */

const wireDuplicate = z
  .object({
    filename: z.string(),
    kind: wordOf(['exact', 'alike', 'mirrored']).describe(
      'Compared with the keeper. exact: the same bytes. alike: a picture that looks the same. mirrored: one that does so once left and right are exchanged, which may be intended.',
    ),
    distance: count.describe('The bits of its 256-bit PDQ hash that differ from the keeper, at most 31.'),
    pixels: count.describe('Width × height; 0 if they are not known.'),
    size_bytes: count,
  })
  .meta({ id: 'Duplicate' });

const wireDuplicateGroup = z
  .object({
    keeper: text('The best file: that with the most pixels, then bytes, then with a caption, then the oldest.'),
    reason: wordOf(['pixels', 'bytes', 'caption', 'age']).describe(
      'The first of these in which the keeper differs from the next best file.',
    ),
    members: z.array(wireDuplicate).meta({ description: 'The other files, each like the keeper. At least one.' }),
  })
  .meta({ id: 'DuplicateGroup' });

export const wireDuplicates = z
  .object({
    groups: z.array(wireDuplicateGroup).meta({ description: 'No file is in two groups. The best keeper is first.' }),
    pending: count.describe('Images that will be compared, but are not hashed yet.'),
  })
  .meta({ id: 'Duplicates' });

export const decisionBody = z.strictObject({
  filenames: nameList.min(2),
  different: z
    .boolean()
    .describe(
      'True: no two of these files are duplicates, except of equal bytes, as long as the dataset has their bytes. False: forget the decision about exactly these files.',
    ),
});

export const wireDecision = decisionBody.meta({ id: 'DuplicateDecision' });

export type WireDuplicateGroup = z.infer<typeof wireDuplicateGroup>;
export type WireDuplicates = z.infer<typeof wireDuplicates>;
