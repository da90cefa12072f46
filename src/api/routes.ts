import { z } from 'zod';
import { MEDIA } from '../dataset/media.js';
import * as account from './account-schemas.js';
import * as captioning from './caption-schemas.js';
import type { WireErrorCode } from './error-codes.js';
import * as history from './history-schemas.js';
import { MAX_BATCH_BODY_BYTES, MAX_BATCH_FILES, SMALL_BODY_BYTES } from './limits.js';
import * as requests from './request-schemas.js';
import * as events from './event-schemas.js';
import * as wire from './schemas.js';
import * as webhooks from './webhook-schemas.js';

/*
 * The contract, which the server, the client, the OpenAPI document and the fuzzers read. The name of a route that changes something
 * is its action in the audit log.
 */

/** An answer that is not JSON. */
export interface BytesAnswer {
  readonly description: string;
  readonly types: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RouteOptions {
  /** Besides tokens that may write: `read`, all tokens; `share`, shares too; `anyone`, no token, outside the base path. */
  readonly access?: 'read' | 'share' | 'anyone';
  /** Accepted instead of a token. */
  readonly link?: 'download' | 'tar' | 'upload';
  readonly query?: z.ZodObject;
  /** Its answer takes as long as a slow client needs. */
  readonly isDownload?: true;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, unless the handler reads another `bodyType`. */
  readonly body?: z.ZodType;
  readonly bodyType?: 'multipart/form-data' | 'application/octet-stream';
  readonly maxBodyBytes?: number;
  /** JSON values in the body; 20,000 by default. */
  readonly maxBodyValues?: number;
  readonly answer: z.ZodType | BytesAnswer;
  /** From any service with this API. */
  readonly accepted?: z.ZodType;
  /** Successes other than 200. */
  readonly otherAnswers?: Readonly<Record<number, BytesAnswer>>;
  /** Besides the errors of its path, access and kind of body. */
  readonly errors?: readonly WireErrorCode[];
}

/** @param at below the base path, unless its access is `anyone` or its link `upload` */
function route<const At extends string, const Options extends RouteOptions>(
  at: At,
  summary: string,
  options: Options,
): { readonly at: At; readonly summary: string } & Options {
  return { at, summary, ...options };
}

const CONTENT_TYPES = [...new Set(Object.values(MEDIA).map(({ contentType }) => contentType))];
const LENGTH = { 'Content-Length': 'The exact size.', 'Cache-Control': '' };
const CACHING = { ETag: 'Changes with the bytes.', 'Cache-Control': '' };
const NAMED = { 'Content-Disposition': 'The filename, or the name of the dataset.' };
const RANGES = { ...CACHING, ...LENGTH, ...NAMED, 'Accept-Ranges': 'Always `bytes`.' };
const RANGE = { ...RANGES, 'Content-Range': 'The range and the size of all: `bytes 0-99/1234`.' };
const TAR = { description: 'The archive.', types: ['application/x-tar'] };
const ZIP = { description: 'The archive.', types: ['application/zip'] };
const EVENTS = { types: ['text/event-stream'] };
const NOT_MODIFIED = { description: 'The client has these bytes already.', types: [] };

const CHANGE = {
  'trainyard-change':
    'The change that the request belongs to, such as `push; 3f2a`: edit, bulk, push or upload, and an id of 1 to 64 letters, digits and hyphens. Requests with the same value are one revision of the history as far as possible. Without it, those of a token within ten minutes are.',
};
const WRITE = { ...CHANGE, 'if-match': '', 'if-none-match': '' };
const READ = { range: '', 'if-range': '', 'if-none-match': '' };
const FILES = ['revision_not_found', 'file_not_found', 'bytes_replaced'] as const;
const CAPTION_RUN = {
  body: captioning.captionRunBody,
  maxBodyBytes: MAX_BATCH_BODY_BYTES,
  maxBodyValues: MAX_BATCH_FILES + 1000,
  answer: captioning.wireStartedRun,
  errors: ['caption_endpoint_not_found', 'caption_preset_not_found', 'wrong_role'],
} as const;
const STATE = ['not_ready', 'revision_not_found'] as const;
const UPLOAD = [
  ...(['precondition_failed', 'invalid_content', 'link_withdrawn', 'upload_cut_short'] as const),
  ...(['upload_too_slow', 'too_many_uploads', 'quota_exceeded'] as const),
] as const;

export const ROUTES = {
  'dataset.create': route('POST ', 'Create a dataset', {
    body: requests.createBody,
    answer: wire.wireDataset,
    accepted: wire.anyDataset,
    errors: ['invalid_name', 'name_taken', 'quota_exceeded'],
  }),
  'dataset.list': route('GET ', 'List datasets, newest first', {
    access: 'share',
    query: requests.listQuery,
    answer: wire.wireDatasetList,
    accepted: wire.anyDatasetList,
  }),
  'dataset.status': route('GET /:id/status', "A dataset's status and files", {
    access: 'share',
    query: requests.statusQuery,
    answer: wire.wireDatasetWithFiles,
    accepted: wire.anyDatasetWithFiles,
  }),
  'dataset.manifest': route(
    'GET /:id/manifest',
    'Every file with its size, SHA-256 and facts, and the digest: of now, of a revision, or of a kept digest',
    { access: 'share', query: requests.manifestQuery, answer: wire.wireManifest, errors: ['revision_not_found'] },
  ),
  'dataset.events': route(
    'GET /:id/events',
    'Server-sent events: the dataset now, and after every change, with the files that changed',
    { access: 'share', query: requests.eventsQuery, answer: { description: events.DATASET_EVENTS, ...EVENTS } },
  ),
  'dataset.change': route('PATCH /:id', 'Change the name and the role of a dataset', {
    body: requests.datasetChangeBody,
    answer: wire.wireDataset,
    errors: ['invalid_name', 'name_taken', 'dataset_linked'],
  }),
  'dataset.delete': route('DELETE /:id', 'Delete a dataset permanently', {
    answer: wire.wireDeletedDataset,
    errors: ['dataset_linked'],
  }),
  'dataset.recheck': route(
    'POST /:id/recheck',
    'Inspect all stored files again in the background, unless that is running already',
    { answer: wire.wireRecheck },
  ),
  'dataset.recheck-progress': route(
    'GET /:id/recheck',
    'The progress of the last recheck, and what is wrong with stored files',
    { answer: wire.wireRecheck },
  ),
  'group.save': route(
    'PUT /:id/groups/:group',
    'Make or change a group of files, which trainers read a number of times in each epoch',
    { body: wire.groupBody, answer: wire.wireGroup, errors: ['invalid_name', 'file_not_found'] },
  ),
  'group.delete': route('DELETE /:id/groups/:group', 'Delete a group; its files stay, and belong to no group', {
    answer: wire.wireDeletedGroup,
  }),
  'links.replace': route('PUT /:id/links', 'Replace the links of a training dataset to its controls and its mask', {
    body: wire.linksBody,
    answer: wire.wireLinkStates,
    errors: ['wrong_role'],
  }),
  'links.read': route(
    'GET /:id/pairs',
    'The links of a training dataset to its controls and its mask, and what is wrong with the pairs',
    { access: 'share', answer: wire.wireLinkStates },
  ),

  'file.upload': route('POST /:id/upload', 'Upload a file of up to 150,000,000 bytes', {
    headers: WRITE,
    body: z.object({ file: wire.wireBytes }),
    bodyType: 'multipart/form-data',
    answer: wire.wireUploadedFile,
    accepted: wire.anyUploadedFile,
    errors: [
      ...UPLOAD,
      ...['invalid_field', 'invalid_name', 'unsupported_type', 'unsupported_body', 'malformed_body', 'check_too_slow'],
    ] as WireErrorCode[],
  }),
  'upload.reserve': route('POST /:id/get-upload-endpoint', 'Signed links to upload files of known sizes', {
    headers: CHANGE,
    body: requests.uploadLinksBody,
    maxBodyBytes: MAX_BATCH_BODY_BYTES,
    // A size and a condition for each file.
    maxBodyValues: 2 * MAX_BATCH_FILES + 1000,
    answer: wire.wireUploadLinks,
    accepted: wire.anyUploadLinks,
    errors: ['invalid_name', 'unsupported_type', 'precondition_failed', 'quota_exceeded'],
  }),
  'upload.receive': route('PUT /uploads/:id', 'Upload the bytes of a file through a link from get-upload-endpoint', {
    link: 'upload',
    query: requests.uploadQuery,
    body: wire.wireBytes,
    bodyType: 'application/octet-stream',
    answer: wire.wireUploadedFile,
    errors: [...UPLOAD, 'link_invalid', 'link_expired', 'upload_finalized', 'length_required', 'wrong_size'],
  }),
  'upload.withdraw': route(
    'DELETE /:id/uploads/:filename',
    'Remove pending and rejected uploads of a name; a stored file of that name stays',
    { answer: wire.wireWithdrawnUpload },
  ),
  'uploads.withdraw': route(
    'DELETE /:id/uploads',
    'Remove the pending and rejected uploads of up to 1,000 names; stored files of those names stay',
    { body: requests.withdrawalBody, answer: wire.wireWithdrawnUploads },
  ),
  'files.list': route('GET /:id/files', 'List files page by page, sorted by name', {
    access: 'share',
    query: requests.filesQuery,
    answer: wire.wireFilePage,
  }),
  'file.read': route('GET /:id/files/:filename', 'The bytes of a file; supports ranges and ETags', {
    access: 'share',
    isDownload: true,
    link: 'download',
    query: requests.fileQuery,
    headers: READ,
    answer: { description: 'The whole file.', types: CONTENT_TYPES, headers: RANGES },
    otherAnswers: {
      206: { description: 'The range that was asked for.', types: CONTENT_TYPES, headers: RANGE },
      304: NOT_MODIFIED,
    },
    errors: ['revision_not_found', 'range_not_satisfiable', 'bytes_replaced'],
  }),
  'file.thumbnail': route(
    'GET /:id/files/:filename/thumbnail',
    'A WebP of an image or of the first frame of a clip, 320 pixels on its longest side',
    {
      access: 'share',
      link: 'download',
      query: requests.thumbnailQuery,
      headers: { 'if-none-match': '' },
      answer: { description: 'The image.', types: ['image/webp'], headers: { ...CACHING, ...LENGTH } },
      otherAnswers: { 304: NOT_MODIFIED },
      errors: [...FILES, 'thumbnail_unavailable', 'no_space'],
    },
  ),
  'file.delete': route(
    'DELETE /:id/files/:filename',
    'Delete a file, with any pending or rejected upload of its name',
    {
      headers: WRITE,
      answer: wire.wireDeletedFile,
      errors: ['precondition_failed', 'invalid_field'],
    },
  ),
  'files.delete': route(
    'DELETE /:id/files',
    'Delete up to 1,000 files, with any pending or rejected upload of their names',
    { headers: CHANGE, body: requests.removalBody, answer: wire.wireRemovedFiles },
  ),
  'files.archive': route('POST /:id/archive', 'Several files as one tar archive, in the order of the request', {
    access: 'share',
    isDownload: true,
    query: requests.revisionQuery,
    body: requests.namesBody,
    answer: { ...TAR, headers: LENGTH },
    errors: FILES,
  }),
  'files.zip': route('GET /:id/zip', 'All files as one uncompressed zip archive; supports ranges up to the end', {
    access: 'share',
    isDownload: true,
    link: 'download',
    query: requests.zipQuery,
    headers: READ,
    answer: { ...ZIP, headers: RANGES },
    otherAnswers: {
      206: { ...ZIP, description: 'The archive from a byte to its end. Other ranges are ignored.', headers: RANGE },
      304: NOT_MODIFIED,
    },
    errors: ['revision_not_found', 'bytes_replaced', 'range_not_satisfiable'],
  }),
  'files.zip-selection': route('POST /:id/zip', 'Up to 20,000 files as one uncompressed zip archive', {
    access: 'share',
    isDownload: true,
    query: requests.zipQuery,
    body: requests.selectionBody,
    maxBodyBytes: MAX_BATCH_BODY_BYTES,
    maxBodyValues: MAX_BATCH_FILES + 1000,
    answer: { ...ZIP, headers: NAMED },
    errors: FILES,
  }),
  'files.download-link': route(
    'GET /:id/download-link',
    'A query for reading files, thumbnails and the zip archive without a token',
    { access: 'share', answer: wire.wireDownloadLink },
  ),
  'captions.csv': route('GET /:id/captions', 'The captions as csv, with the columns `file_name` and `text`', {
    access: 'share',
    isDownload: true,
    link: 'download',
    query: requests.exportQuery,
    answer: { description: 'The table.', types: ['text/csv'], headers: NAMED },
    errors: ['revision_not_found', 'bytes_replaced'],
  }),
  'captions.read': route('POST /:id/captions', 'The texts of several captions, in the order of the request', {
    access: 'share',
    query: requests.revisionQuery,
    body: requests.namesBody,
    answer: wire.wireCaptions,
    errors: FILES,
  }),
  'captions.save': route('PUT /:id/captions', 'Save up to 1,000 captions, each only if its ETag is the expected one', {
    headers: CHANGE,
    body: requests.captionsBody,
    maxBodyBytes: MAX_BATCH_BODY_BYTES,
    answer: wire.wireSavedCaptions,
    errors: ['invalid_name', 'unsupported_type', 'quota_exceeded'],
  }),

  'duplicates.list': route('GET /:id/duplicates', 'Groups of images that look alike, and of equal files', {
    access: 'share',
    answer: wire.wireDuplicates,
  }),
  'duplicates.decide': route(
    'POST /:id/duplicates',
    'Remember that files differ from one another although they look alike, or forget it',
    { body: wire.decisionBody, answer: wire.wireDecision, errors: ['file_not_found'] },
  ),

  'caption-endpoint.list': route('GET /caption-endpoints', 'The model servers that the operator has named', {
    answer: captioning.wireCaptionEndpoints,
  }),
  'caption-endpoint.test': route('POST /caption-endpoints/:endpoint/test', 'Send a small picture to a model', {
    answer: captioning.wireCaptionTest,
  }),
  'caption-preset.list': route('GET /caption-presets', 'The prompts: four built-in ones, then those of the account', {
    answer: captioning.wireCaptionPresets,
  }),
  'caption-preset.save': route('PUT /caption-presets/:preset', 'Save a prompt of the account under a name', {
    body: captioning.captionPresetBody,
    answer: captioning.wireCaptionPreset,
    errors: ['invalid_name', 'quota_exceeded'],
  }),
  'caption-preset.delete': route('DELETE /caption-presets/:preset', 'Delete a prompt of the account', {
    answer: wire.wireDeletedGroup,
  }),
  'caption-run.plan': route('POST /:id/caption-plan', 'Count the files of a run by who has written their captions', {
    ...CAPTION_RUN,
    access: 'read',
  }),
  'caption-run.start': route(
    'POST /:id/caption-runs',
    'Have a model write captions, or proposals where there are some',
    { ...CAPTION_RUN, errors: [...CAPTION_RUN.errors, 'caption_endpoint_unusable', 'quota_exceeded'] },
  ),
  'caption-run.list': route('GET /:id/caption-runs', 'The runs of captions of a dataset, newest first', {
    answer: captioning.wireCaptionRuns,
  }),
  'caption-run.read': route('GET /:id/caption-runs/:run_id', 'The progress of a run, and the files that failed', {
    answer: captioning.wireCaptionRun,
  }),
  'caption-run.stop': route('POST /:id/caption-runs/:run_id/stop', 'Stop a run, and store the captions that it has', {
    answer: captioning.wireCaptionRun,
  }),
  'caption-run.resume': route('POST /:id/caption-runs/:run_id/resume', 'Ask about the files that are left or failed', {
    answer: captioning.wireCaptionRun,
    errors: ['caption_endpoint_not_found', 'quota_exceeded'],
  }),
  'proposal.list': route('GET /:id/caption-proposals', 'The open proposals of a dataset', {
    query: captioning.proposalsQuery,
    answer: captioning.wireProposals,
  }),
  'proposal.decide': route('POST /:id/caption-proposals', 'Accept and dismiss proposals', {
    headers: CHANGE,
    body: captioning.decisionsBody,
    maxBodyBytes: MAX_BATCH_BODY_BYTES,
    answer: captioning.wireDecisions,
    errors: ['quota_exceeded'],
  }),

  'tar.link': route(
    'GET /:id/tar-link',
    'A link to the tar archive of a READY state, which needs no token until it expires',
    { query: requests.tarLinkQuery, answer: wire.wireTarLink, errors: STATE },
  ),
  'tar.read': route('GET /:id/tar', 'A READY state as a tar archive of the folder that a mount makes', {
    link: 'tar',
    isDownload: true,
    query: requests.manifestQuery,
    headers: READ,
    answer: { ...TAR, headers: RANGES },
    otherAnswers: {
      206: { ...TAR, description: 'The archive from a byte to its end. Other ranges are ignored.', headers: RANGE },
      304: NOT_MODIFIED,
    },
    errors: [...STATE, 'range_not_satisfiable'],
  }),
  'tar.checksums': route(
    'GET /:id/sha256sums',
    'The SHA-256 of each file of the tar archive, as `sha256sum -c` reads them',
    {
      link: 'tar',
      query: requests.manifestQuery,
      answer: { description: 'The lines.', types: ['text/plain'] },
      errors: STATE,
    },
  ),

  'revision.list': route('GET /:id/revisions', 'List the kept revisions, newest first', {
    query: requests.revisionsQuery,
    answer: history.wireRevisionPage,
  }),
  'revision.diff': route(
    'GET /:id/revisions/diff',
    'The files that differ between two revisions, with the texts of captions',
    { query: requests.revisionDiffQuery, answer: history.wireRevisionDiff, errors: ['revision_not_found'] },
  ),
  'revision.read': route('GET /:id/revisions/:number', 'A revision with all its files', {
    answer: history.wireRevisionWithFiles,
  }),
  'revision.restore': route(
    'POST /:id/revisions/:number/restore',
    "Make the dataset's files those of a revision, as a new revision",
    { answer: history.wireRestored, errors: ['quota_exceeded'] },
  ),
  'revision.undo': route(
    'POST /:id/revisions/:number/undo',
    'Reverse the changes of a revision, except those of files that were changed again since',
    { answer: history.wireUndone, errors: ['quota_exceeded'] },
  ),
  'revision.pin': route('PUT /:id/revisions/:number/pin', 'Keep a revision until it is unpinned', {
    body: requests.pinBody,
    answer: history.wireRevision,
    errors: ['quota_exceeded'],
  }),
  'revision.unpin': route('DELETE /:id/revisions/:number/pin', 'End the pin of a revision', {
    answer: history.wireRevision,
  }),

  'account.read': route('GET /account', 'The account, what its token allows, and the usage and limits of the account', {
    answer: account.wireAccount,
  }),
  'account.events': route(
    'GET /events',
    'Server-sent events: each dataset after every change, and the id of each deleted dataset',
    { answer: { description: events.ACCOUNT_EVENTS, ...EVENTS } },
  ),
  'session.start': route(
    'POST /session',
    'Sign in a browser: exchange a token, or a code without a token, for the cookie of a session',
    {
      access: 'read',
      body: account.sessionBody,
      maxBodyBytes: SMALL_BODY_BYTES,
      answer: account.wireSession,
    },
  ),
  'session.end': route('DELETE /session', 'Sign out: end the session of the cookie', {
    access: 'read',
    answer: account.wireEndedSession,
  }),
  'session.code': route('POST /session/codes', 'Make a code that signs in one browser, once, within a minute', {
    access: 'read',
    answer: account.wireSignInCode,
  }),
  'token.list': route(
    'GET /tokens',
    'The tokens, sessions and shares of the account that are not revoked, oldest first, without their secrets',
    { answer: account.wireTokenList },
  ),
  'token.create': route('POST /tokens', 'Make a token with at most the rights of the own one', {
    body: account.tokenBody,
    answer: account.wireNewToken,
    errors: ['invalid_name', 'dataset_not_found', 'quota_exceeded'],
  }),
  'token.revoke': route(
    'DELETE /tokens/:token_id',
    'Revoke a token, session or share, and the sessions and shares that it made',
    { query: account.revocationQuery, answer: account.wireRevokedToken },
  ),
  'share.list': route(
    'GET /:id/shares',
    'The share links of a dataset that are not revoked, oldest first, without their secrets',
    { answer: account.wireTokenList },
  ),
  'share.create': route(
    'POST /:id/shares',
    'Make a link to a page that shows and downloads the current files of a dataset',
    { body: account.shareBody, answer: account.wireNewShare, errors: ['invalid_name', 'quota_exceeded'] },
  ),
  'share.revoke': route('DELETE /:id/shares/:share_id', 'Revoke a share link of a dataset', {
    answer: account.wireRevokedToken,
  }),

  'webhook.list': route(
    'GET /webhooks',
    'List the webhooks of the account; for a token that only reads, their URLs end after the host',
    { answer: webhooks.wireWebhooks },
  ),
  'webhook.create': route(
    'POST /webhooks',
    'Make a webhook: the events of datasets are sent to its URL, signed as Standard Webhooks does',
    { body: webhooks.webhookBody, answer: webhooks.wireNewWebhook, errors: ['quota_exceeded'] },
  ),
  'webhook.change': route(
    'PATCH /webhooks/:webhook_id',
    'Change the URL or the events of a webhook, enable or disable it',
    { body: webhooks.webhookChangeBody, answer: webhooks.wireWebhook },
  ),
  'webhook.delete': route('DELETE /webhooks/:webhook_id', 'Delete a webhook and its deliveries', {
    answer: wire.wireDeletedDataset,
  }),
  'webhook.test': route('POST /webhooks/:webhook_id/test', 'Send a test event; the deliveries tell how it ended', {
    answer: webhooks.wireDelivery,
  }),
  'webhook.deliveries': route(
    'GET /webhooks/:webhook_id/deliveries',
    'The last deliveries of a webhook, newest first',
    { answer: webhooks.wireDeliveries },
  ),
  'webhook.resend': route(
    'POST /webhooks/:webhook_id/deliveries/:delivery_id/resend',
    'Send a delivery again, under the same id',
    { answer: webhooks.wireDelivery },
  ),

  'service.health': route('GET /healthz', 'Whether the process is alive', {
    access: 'anyone',
    answer: wire.wireHealth,
  }),
  'service.ready': route('GET /readyz', 'Whether the catalog and the blob store answer', {
    access: 'anyone',
    answer: wire.wireReadiness,
  }),
  'service.metrics': route('GET /metrics', 'Metrics for Prometheus', {
    access: 'anyone',
    answer: { description: 'The metrics.', types: ['text/plain; version=0.0.4; charset=utf-8'] },
  }),
} as const satisfies Record<string, Route>;

export type Route = { readonly at: string; readonly summary: string } & RouteOptions;

/** Such routes need a token or a session, or what stands for one: a link or a code. */
export function hasBasePath({ access, link }: Route): boolean {
  return access !== 'anyone' && link !== 'upload';
}

export type RouteName = keyof typeof ROUTES;

type Row<N extends RouteName> = (typeof ROUTES)[N];

type ParameterOf<At extends string> = At extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParameterOf<Rest>
  : At extends `${string}:${infer Name}`
    ? Name
    : never;

export type PathParameter = ParameterOf<Row<RouteName>['at']>;

export type ParamsOf<N extends RouteName> = {
  readonly [P in ParameterOf<Row<N>['at']>]: P extends 'number' ? number : string;
};

export type QueryOf<N extends RouteName> = Row<N> extends { query: infer Q extends z.ZodType } ? z.output<Q> : object;

export type BodyOf<N extends RouteName> = Row<N> extends { body: infer B extends z.ZodType } ? z.output<B> : undefined;

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

export type SentBodyOf<N extends RouteName> =
  Row<N> extends { body: infer B extends z.ZodType } ? DeepReadonly<z.input<B>> : undefined;

export type SentQueryOf<N extends RouteName> = { readonly [K in keyof QueryOf<N>]?: QueryOf<N>[K] | undefined };

export type AnswerOf<N extends RouteName> = Row<N> extends { answer: infer A extends z.ZodType } ? z.output<A> : never;

type PathArgument<Name> = Name extends 'number' ? [number: number] : [id: string];

type PathArguments<At extends string> = At extends `${string}:${infer Name}/${infer Rest}`
  ? [...PathArgument<Name>, ...PathArguments<Rest>]
  : At extends `${string}:${infer Name}`
    ? PathArgument<Name>
    : [];

export type PathArgumentsOf<N extends RouteName> = PathArguments<Row<N>['at']>;

/** The parameters of the path in order, then the body or else the query. */
export type ArgumentsOf<N extends RouteName> =
  Row<N> extends { body: infer B extends z.ZodType }
    ? undefined extends z.input<B>
      ? [...PathArgumentsOf<N>, body?: SentBodyOf<N>]
      : [...PathArgumentsOf<N>, body: SentBodyOf<N>]
    : Row<N> extends { query: z.ZodType }
      ? [...PathArgumentsOf<N>, query?: SentQueryOf<N>]
      : PathArgumentsOf<N>;
