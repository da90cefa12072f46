import contentDisposition from 'content-disposition';
import {
  datasetParams,
  fileHeaders,
  fileParams,
  fileQuery,
  filesQuery,
  namesBody,
  revisionQuery,
  thumbnailHeaders,
  thumbnailQuery,
} from '../../../api/request-schemas.js';
import { wireCaptions, wireFilePage, wireReadLink } from '../../../api/schemas.js';
import type { StoredFile } from '../../../dataset/dataset.js';
import { MEDIA } from '../../../dataset/media.js';
import { tarOf } from '../../../service/download/tar.js';
import { zipOf } from '../../../service/download/zip.js';
import { etagOf } from '../../conditions.js';
import { disconnectSignal } from '../../connections/disconnect.js';
import type { App, RouteContext } from '../../context.js';
import { bytesOf, routesTagged } from '../../docs.js';
import { fileToWire, timeOf } from '../../to-wire.js';
import { captionTexts } from './caption-texts.js';
import { sendJsonParts } from './json-parts.js';
import { matches, NOT_MODIFIED, noBytes, sendBytes, sendNotModified } from './send-bytes.js';

const route = routesTagged('files');

/** The file under a name may be replaced at any time, so caches must revalidate by ETag. */
const CACHE_CONTROL = 'private, no-cache';

/** If the URL contains the SHA-256 of the bytes, the response never changes. */
const CACHE_IMMUTABLE = 'private, max-age=31536000, immutable';

const CONTENT_TYPES = [...new Set(Object.values(MEDIA).map(({ contentType }) => contentType))];
const LENGTH_HEADERS = { 'Content-Length': 'The exact size.', 'Cache-Control': '' };
const CACHE_HEADERS = { ETag: 'Changes with the bytes.', 'Cache-Control': '' };
const FILE_HEADERS = {
  ...CACHE_HEADERS,
  'Content-Length': 'The exact size.',
  'Content-Disposition': 'The filename.',
  'Accept-Ranges': 'Always `bytes`.',
};
const RANGE_HEADERS = { ...FILE_HEADERS, 'Content-Range': 'The range and the size of the file: `bytes 0-99/1234`.' };

/** Routes to read the files of a dataset. */
export function registerDownloadRoutes(app: App, context: RouteContext): void {
  const { datasets, downloads, thumbnails, readLinks, filesInFlight, now } = context;

  app.get(
    '/:id/links',
    route('A query for reading files, thumbnails and the zip archive without a token', {
      params: datasetParams,
      response: { 200: wireReadLink },
    }),
    async ({ accountId, grant, params }) => {
      const key = { accountId, id: params.id };
      await datasets.summary(key);
      const { query, expiresAt } = readLinks.linkFor(key, {
        now: now(),
        until: grant?.expiresAt,
        share: grant?.kind === 'share' ? grant.tokenId : undefined,
      });
      return { query, expires_at: timeOf(expiresAt) };
    },
  );

  app.get(
    '/:id/files',
    route('List files page by page, sorted by name', {
      params: datasetParams,
      querystring: filesQuery,
      response: { 200: wireFilePage },
    }),
    async ({ accountId, params, query }) => {
      const { files, isLast } = await downloads.page({ accountId, id: params.id }, query);
      return { files: files.map(fileToWire), next_after: isLast ? null : (files.at(-1)?.filename ?? null) };
    },
  );

  app.get(
    '/:id/files/:filename',
    {
      config: { acceptsReadLink: true, sendsFiles: true },
      ...route('The bytes of a file; supports ranges and ETags', {
        params: fileParams,
        querystring: fileQuery,
        headers: fileHeaders,
        response: {
          200: bytesOf('The whole file.', { types: CONTENT_TYPES, headers: FILE_HEADERS }),
          206: bytesOf('The range that was asked for.', { types: CONTENT_TYPES, headers: RANGE_HEADERS }),
          304: NOT_MODIFIED,
        },
        errors: ['revision_not_found', 'range_not_satisfiable', 'bytes_replaced'],
      }),
    },
    async (request, reply) => {
      const { accountId, params, query } = request;
      const file = await downloads.file({ accountId, id: params.id, revision: query.revision }, params.filename);
      reply.headers({
        'cache-control': cacheControlOf(file, query.sha256),
        'content-disposition': contentDisposition(file.filename, {
          type: query.download === 'true' ? 'attachment' : 'inline',
        }),
      });
      const { sizeBytes, contentType } = file.upload;
      const content = { name: file.filename, etag: etagOf(file.upload), sizeBytes, contentType };
      return sendBytes(request, reply, { ...content, open: (range) => downloads.bytes(file, range) });
    },
  );

  app.get(
    '/:id/files/:filename/thumbnail',
    {
      config: { acceptsReadLink: true },
      ...route('A WebP of an image, 320 pixels on its longest side', {
        params: fileParams,
        querystring: thumbnailQuery,
        headers: thumbnailHeaders,
        response: {
          200: bytesOf('The image.', { types: ['image/webp'], headers: { ...CACHE_HEADERS, ...LENGTH_HEADERS } }),
          304: NOT_MODIFIED,
        },
        errors: ['revision_not_found', 'file_not_found', 'thumbnail_unavailable', 'bytes_replaced', 'no_space'],
      }),
    },
    async ({ accountId, params, query, headers }, reply) => {
      const signal = disconnectSignal(reply);
      const file = await downloads.file({ accountId, id: params.id, revision: query.revision }, params.filename);
      const etag = `"${file.upload.sha256}-thumbnail"`;
      const cacheControl = cacheControlOf(file, query.sha256);
      reply.headers({ etag, 'cache-control': cacheControl });
      if (matches(headers['if-none-match'], etag)) return sendNotModified(reply);
      return reply.type('image/webp').send(await thumbnails.read(file, { accountId, signal }));
    },
  );

  app.post(
    '/:id/archive',
    {
      config: { isRead: true, sendsFiles: true },
      ...route('Several files as one tar archive, in the order of the request', {
        params: datasetParams,
        querystring: revisionQuery,
        body: namesBody,
        response: { 200: bytesOf('The archive.', { types: ['application/x-tar'], headers: LENGTH_HEADERS }) },
        errors: ['revision_not_found', 'file_not_found', 'bytes_replaced'],
      }),
    },
    async ({ accountId, params, query, body }, reply) => {
      const source = { accountId, id: params.id, revision: query.revision };
      const files = await downloads.files(source, body.filenames);
      filesInFlight.admit(accountId, files.length, reply.raw);
      const archive = tarOf(files, (file) => downloads.archived(accountId, file));
      reply.headers({ 'cache-control': CACHE_CONTROL, 'content-length': archive.sizeBytes });
      return reply.type('application/x-tar').send(archive.open());
    },
  );

  app.get(
    '/:id/zip',
    {
      config: { acceptsReadLink: true, sendsFiles: true },
      ...route('All files as one uncompressed zip archive', {
        params: datasetParams,
        querystring: revisionQuery,
        response: {
          200: bytesOf('The archive.', {
            types: ['application/zip'],
            headers: { ...LENGTH_HEADERS, 'Content-Disposition': 'The name of the dataset.' },
          }),
        },
        errors: ['revision_not_found', 'bytes_replaced'],
      }),
    },
    async ({ accountId, params, query, method }, reply) => {
      const { revision } = query;
      const { name, files } = await downloads.all({ accountId, id: params.id, revision });
      filesInFlight.admit(accountId, files.length, reply.raw);
      const zip = zipOf(files, (file) => downloads.archived(accountId, file));
      reply.headers({
        'cache-control': CACHE_CONTROL,
        'content-disposition': contentDisposition(
          revision === undefined ? `${name}.zip` : `${name} (revision ${revision}).zip`,
        ),
        'content-length': zip.sizeBytes,
      });
      return reply.type('application/zip').send(method === 'HEAD' ? noBytes() : zip.body);
    },
  );

  app.post(
    '/:id/captions',
    {
      config: { isRead: true },
      ...route('The texts of several captions, in the order of the request', {
        params: datasetParams,
        querystring: revisionQuery,
        body: namesBody,
        response: { 200: wireCaptions },
        errors: ['revision_not_found', 'file_not_found', 'bytes_replaced'],
      }),
    },
    async ({ accountId, params, query, body }, reply) => {
      const source = { accountId, id: params.id, revision: query.revision };
      const captions = await downloads.captions(source, body.filenames);
      filesInFlight.admit(accountId, captions.length, reply.raw);
      return sendJsonParts(reply, captionTexts(downloads, accountId, captions), context);
    },
  );
}

function cacheControlOf({ upload }: StoredFile, requestedSha256: string | undefined): string {
  return requestedSha256 === upload.sha256 ? CACHE_IMMUTABLE : CACHE_CONTROL;
}
