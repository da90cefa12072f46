import type { WireAccount } from '../../api/account/account-schema.js';
import type { WireSession, WireSignInCode } from '../../api/account/session-schemas.js';
import type { WireNewShare, WireNewToken, WireRevokedToken, WireTokenList } from '../../api/account/token-schemas.js';
import type { WireRemovedFiles, WireSavedCaptions, WireWithdrawnUploads } from '../../api/bulk-schemas.js';
import type {
  WireRestored,
  WireRevision,
  WireRevisionDiff,
  WireRevisionPage,
  WireRevisionWithFiles,
  WireUndone,
} from '../../api/history-schemas.js';
import type { WireLinkStates } from '../../api/pair-schemas.js';
import type { WireRecheck } from '../../api/recheck-schema.js';
import type {
  WireCaptions,
  WireDataset,
  WireDatasetList,
  WireDatasetWithFiles,
  WireFilePage,
  WireManifest,
  WireReadLink,
  WireUploadedFile,
  WireUploadLink,
} from '../../api/schemas.js';
import type { WireTarLink } from '../../api/tar-schema.js';
import type {
  WireDeliveries,
  WireDelivery,
  WireNewWebhook,
  WireWebhook,
  WireWebhooks,
} from '../../api/webhook-schemas.js';
import { invalidAnswer } from '../trainyard-error.js';
import {
  type Check,
  etag,
  flag,
  listOf,
  mapOf,
  number,
  object,
  orNull,
  sha256,
  size,
  status,
  text,
  textOrNull,
  time,
  typed,
  uniqueListOf,
  urlText,
} from './checks.js';
import { linkedFrom, links, manifestLinks } from './pair-checks.js';

/** The check of an answer, with the type of a valid one. */
export type Shape<T> = Check & { readonly answer?: T };

/**
 * Checks the fields that an answer needs, and the types of those that it may have. Fields that only trainyard sends are
 * optional where the hosted API has the call too; an optional field that is `null` is removed.
 *
 * @throws TrainyardError
 */
export function parsed<T>(check: Shape<T>, value: unknown): T {
  const fault = check(value, '');
  if (fault !== undefined) throw invalidAnswer(200, `${fault}.`);
  return value as T;
}

const problem = object({ code: text, message: text }, { filename: text });

const datasetFields = { id: text, name: text, status, created_at: time, updated_at: time };
const countNames = ['images', 'videos', 'captions', 'uncaptioned', 'pending', 'checking', 'rejected'];
const optionalDatasetFields = {
  error: object({ code: text, message: text }, { problems: listOf(problem) }),
  size_bytes: size,
  role: text,
  counts: object(Object.fromEntries(countNames.map((name) => [name, number])), { unpaired: number }),
};

const fileFields = { filename: text, size_bytes: size };
const optionalFileFields = {
  ...Object.fromEntries(['content_type', 'kind', 'format', 'codec'].map((name) => [name, text])),
  ...Object.fromEntries(
    ['width', 'height', 'duration_seconds', 'frames', 'frames_per_second', 'characters'].map((name) => [name, number]),
  ),
  sha256,
  etag,
  uploaded_at: time,
  has_audio: flag,
  warnings: listOf(problem),
  problem,
};
const file = object(fileFields, optionalFileFields);
const completeFile = object({ ...fileFields, sha256 }, optionalFileFields);

const totals = object({ datasets: number, files: number, bytes: number });
export const ACCOUNT: Shape<WireAccount> = object(
  {
    account: text,
    token: object({ id: text, read_only: flag, datasets: orNull(listOf(text)), expires_at: textOrNull }),
    limits: totals,
  },
  {
    usage: object({ datasets: number, files: number, bytes: number }, { history_bytes: number }),
    session_id: textOrNull,
  },
);
export const SESSION: Shape<WireSession> = object({ id: text, expires_at: time });
export const SIGN_IN_CODE: Shape<WireSignInCode> = object({ code: text, token_id: text, expires_at: time });

const tokenFields = {
  id: text,
  kind: text,
  name: textOrNull,
  hint: text,
  read_only: flag,
  datasets: orNull(listOf(object({ id: text, name: textOrNull }))),
  created_at: time,
  last_used_at: orNull(time),
  expires_at: orNull(time),
  made_by: textOrNull,
  current: flag,
};
export const TOKEN_LIST: Shape<WireTokenList> = object({ tokens: uniqueListOf(object(tokenFields), ['id']) });
export const NEW_TOKEN: Shape<WireNewToken> = object({ ...tokenFields, secret: text });
export const NEW_SHARE: Shape<WireNewShare> = object({ ...tokenFields, secret: text, url: urlText });
export const REVOKED_TOKEN: Shape<WireRevokedToken> = object({ id: text, revoked: listOf(text), current: flag });

export const DATASET: Shape<WireDataset> = object(datasetFields, optionalDatasetFields);
export const DATASET_LIST: Shape<WireDatasetList> = object(
  { datasets: uniqueListOf(DATASET, ['id', 'name']) },
  { next_cursor: textOrNull },
);
export const DATASET_WITH_FILES: Shape<WireDatasetWithFiles> = object(
  { ...datasetFields, files: uniqueListOf(file, ['filename']) },
  {
    ...optionalDatasetFields,
    awaited: listOf(object({ filename: text, until: time })),
    interrupted: flag,
    checking: listOf(object({ filename: text, size_bytes: size, since: time }, { sha256 })),
    damaged: listOf(file),
    warnings: listOf(problem),
    digest: sha256,
    files_digest: sha256,
    links,
    linked_from: linkedFrom,
  },
);
export const MANIFEST: Shape<WireManifest> = object(
  { dataset_id: text, name: text, status, files: uniqueListOf(completeFile, ['filename']) },
  { digest: sha256, files_digest: sha256, links: manifestLinks, revision: number },
);
export const LINK_STATES: Shape<WireLinkStates> = object({ links, status });
export const FILE_PAGE: Shape<WireFilePage> = object({ files: listOf(file), next_after: textOrNull });
export const UPLOADED_FILE: Shape<WireUploadedFile> = object(
  {},
  { ...fileFields, ...optionalFileFields, revision: number },
);
export const CAPTIONS: Shape<WireCaptions> = object({
  captions: listOf(object({ filename: text, sha256, text: textOrNull }, { etag })),
});
const currentFile = object({ etag, size_bytes: size });
export const SAVED_CAPTIONS: Shape<WireSavedCaptions> = object(
  { captions: listOf(object({ filename: text, saved: flag }, { file, current: orNull(currentFile), problem })) },
  { revision: number },
);
export const REMOVED_FILES: Shape<WireRemovedFiles> = object(
  { files: listOf(object({ filename: text, deleted: flag }, { current: orNull(currentFile) })) },
  { revision: number },
);
export const WITHDRAWN_UPLOADS: Shape<WireWithdrawnUploads> = object({
  uploads: listOf(object({ filename: text, withdrawn: flag })),
});
export const READ_LINK: Shape<WireReadLink> = object({ query: text, expires_at: time });
const tarLinkFields = {
  ...{ url: urlText, sha256sums_url: urlText, script_url: urlText, expires_at: time },
  ...{ dataset_id: text, name: text, revision: number, digest: sha256, files: size, bytes: size },
};
export const TAR_LINK: Shape<WireTarLink> = object(tarLinkFields, { links: manifestLinks });
const webhookFields = { id: text, url: text, events: listOf(text), enabled: flag, created_at: time };
export const WEBHOOK: Shape<WireWebhook> = object(webhookFields);
export const WEBHOOKS: Shape<WireWebhooks> = object({ webhooks: listOf(WEBHOOK) });
export const NEW_WEBHOOK: Shape<WireNewWebhook> = object({ ...webhookFields, secret: text });
export const DELIVERY: Shape<WireDelivery> = object({
  ...{ id: text, event: text, dataset_id: textOrNull, state: text, created_at: time, attempts: number },
  ...{ attempted_at: textOrNull, next_attempt_at: textOrNull, answer: orNull(number), error: textOrNull },
});
export const DELIVERIES: Shape<WireDeliveries> = object({ deliveries: listOf(DELIVERY) });
export const RECHECK: Shape<WireRecheck> = object({
  state: text,
  total: number,
  checked: number,
  problems: listOf(problem),
});

const pin = object({ at: time, by: text, note: textOrNull });
const revisionFields = {
  number,
  started_at: time,
  changed_at: time,
  account: text,
  token: orNull(object({ id: text, name: text })),
  how: text,
  change_id: textOrNull,
  restored_from: orNull(number),
  ...Object.fromEntries(['added', 'removed', 'changed', 'files', 'bytes'].map((name) => [name, size])),
  digest: sha256,
  ready: flag,
  is_latest: flag,
  pinned: orNull(pin),
};
export const REVISION: Shape<WireRevision> = object(revisionFields);
export const REVISION_PAGE: Shape<WireRevisionPage> = object({
  revisions: listOf(REVISION),
  next_before: orNull(number),
});
export const REVISION_WITH_FILES: Shape<WireRevisionWithFiles> = object({
  ...revisionFields,
  manifest: uniqueListOf(completeFile, ['filename']),
});
const fileWithText = object(fileFields, { ...optionalFileFields, text });
const changedFile = object({ filename: text, from: file, to: file }, { from_text: text, to_text: text });
export const REVISION_DIFF: Shape<WireRevisionDiff> = object({
  from: number,
  to: number,
  total: object({ added: size, removed: size, changed: size }),
  added: listOf(fileWithText),
  removed: listOf(fileWithText),
  changed: listOf(changedFile),
  next_after: textOrNull,
});
export const RESTORED: Shape<WireRestored> = object({ restored: flag, revision: REVISION });
export const UNDONE: Shape<WireUndone> = object({
  revision: orNull(REVISION),
  undone: listOf(text),
  kept: listOf(text),
});

/**
 * The headers that a PUT of bytes to an object store may need. With others, a link could make a client act in its user's
 * network, or have the store copy or publish objects.
 */
const LINK_HEADERS = new Set([
  'content-type',
  'content-md5',
  'if-none-match',
  'x-amz-checksum-crc32',
  'x-amz-checksum-sha256',
  'x-amz-content-sha256',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-goog-content-length-range',
  'x-ms-blob-type',
]);

const linkHeaders: Check = (value, path) => {
  const fault = mapOf(text)(value, path);
  if (fault !== undefined) return fault;
  const unusable = Object.keys(value as object).find((name) => !LINK_HEADERS.has(name.toLowerCase()));
  return unusable === undefined
    ? undefined
    : `${path} has the header ${JSON.stringify(unusable)}, which no upload needs`;
};

export const UPLOAD_LINKS: Shape<{ uploads: Record<string, WireUploadLink> }> = object({
  uploads: mapOf(
    object(
      { upload_url: urlText, method: typed('PUT', (value) => value === 'PUT') },
      { headers: linkHeaders, expires_at: text },
    ),
  ),
});
