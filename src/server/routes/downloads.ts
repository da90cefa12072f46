import { Readable } from 'node:stream';
import contentDisposition from 'content-disposition';
import type { FastifyReply, FastifyRequest } from 'fastify';
import parseRange from 'range-parser';
import {
  datasetParams,
  fileParams,
  fileQuery,
  filesQuery,
  namesBody,
  thumbnailQuery,
  wireBytes,
  wireCaptions,
  wireFilePage,
  wireReadLink,
} from '../../api/schemas.js';
import type { StoredFile } from '../../dataset/dataset.js';
import { tarOf } from '../../service/download/tar.js';
import { zipOf } from '../../service/download/zip.js';
import type { App, RouteContext } from '../context.js';
import { routesTagged } from '../docs.js';
import { errorResponse } from '../errors.js';
import { fileToWire, timeOf } from '../to-wire.js';

const route = routesTagged('files');

/** The file under a name may be replaced at any time, so caches must revalidate by ETag. */
const CACHE_CONTROL = 'private, no-cache';

/** If the URL contains the SHA-256 of the bytes, the response never changes. */
const CACHE_IMMUTABLE = 'private, max-age=31536000, immutable';

/** Routes to read the files of a dataset. */
export function registerDownloadRoutes(app: App, context: RouteContext): void {
  const { datasets, downloads, readLinks, now } = context;

  app.get(
    '/:id/links',
    route('A query for reading files, thumbnails and the zip archive without a token', {
      params: datasetParams,
      response: { 200: wireReadLink },
    }),
    async ({ accountId, params }) => {
      const key = { accountId, id: params.id };
      await datasets.summary(key);
      const { query, expiresAt } = readLinks.linkFor(key, now());
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
      config: { acceptsReadLink: true },
      ...route('The bytes of a file; supports ranges and ETags', {
        params: fileParams,
        querystring: fileQuery,
        response: { 200: wireBytes },
      }),
    },
    async (request, reply) => {
      const { accountId, params, query } = request;
      const file = await downloads.file({ accountId, id: params.id }, params.filename);
      reply.headers({
        'cache-control': cacheControlOf(file, query.sha256),
        'content-disposition': contentDisposition(file.filename, {
          type: query.download === 'true' ? 'attachment' : 'inline',
        }),
      });
      return sendFile(request, reply, file, (range) => downloads.bytes(file, range));
    },
  );

  app.get(
    '/:id/files/:filename/thumbnail',
    {
      config: { acceptsReadLink: true },
      ...route('A WebP of an image, 320 pixels on its longest side', {
        params: fileParams,
        querystring: thumbnailQuery,
        response: { 200: wireBytes },
      }),
    },
    async ({ accountId, params, query, headers }, reply) => {
      const file = await downloads.file({ accountId, id: params.id }, params.filename);
      const etag = `"${file.upload.sha256}-thumbnail"`;
      const cacheControl = cacheControlOf(file, query.sha256);
      reply.headers({ etag, 'cache-control': cacheControl, 'x-content-type-options': 'nosniff' });
      if (matches(headers['if-none-match'], etag)) return sendNotModified(reply);
      return reply.type('image/webp').send(await downloads.thumbnail(file, { accountId }));
    },
  );

  app.post(
    '/:id/archive',
    route('Several files as one tar archive, in the order of the request', {
      params: datasetParams,
      body: namesBody,
      response: { 200: wireBytes },
    }),
    async ({ accountId, params, body }, reply) => {
      const files = await downloads.files({ accountId, id: params.id }, body.filenames);
      const archive = tarOf(files, (file) => downloads.bytes(file));
      reply.headers({ 'cache-control': CACHE_CONTROL, 'content-length': archive.sizeBytes });
      return reply.type('application/x-tar').send(archive.body);
    },
  );

  app.get(
    '/:id/zip',
    {
      config: { acceptsReadLink: true },
      ...route('All files as one uncompressed zip archive', { params: datasetParams, response: { 200: wireBytes } }),
    },
    async ({ accountId, params, method }, reply) => {
      const { dataset, files } = await downloads.all({ accountId, id: params.id });
      const zip = zipOf(files, (file) => downloads.bytes(file));
      reply.headers({
        'cache-control': CACHE_CONTROL,
        'content-disposition': contentDisposition(`${dataset.name}.zip`),
        'content-length': zip.sizeBytes,
      });
      return reply.type('application/zip').send(method === 'HEAD' ? noBytes() : zip.body);
    },
  );

  app.post(
    '/:id/captions',
    route('The texts of several captions, in the order of the request', {
      params: datasetParams,
      body: namesBody,
      response: { 200: wireCaptions },
    }),
    async ({ accountId, params, body }) => {
      const captions = await downloads.captions({ accountId, id: params.id }, body.filenames);
      return {
        captions: captions.map(({ file, text }) => ({ filename: file.filename, sha256: file.upload.sha256, text })),
      };
    },
  );
}

/** A Range header of another form is ignored. A byte range beyond the end is rejected (RFC 9110, 14.2). */
const RANGES = /^bytes=\s*(\d+-\d*|-\d+)(\s*,\s*(\d+-\d*|-\d+))*\s*$/;

async function sendFile(
  { headers, method }: FastifyRequest,
  reply: FastifyReply,
  { filename, upload }: StoredFile,
  open: (range?: { start: number; end: number }) => Promise<NodeJS.ReadableStream>,
) {
  const etag = `"${upload.sha256}"`;
  reply.headers({
    etag,
    'accept-ranges': 'bytes',
    'x-content-type-options': 'nosniff',
    // If a browser opens the file directly, no script in it may run.
    'content-security-policy': "default-src 'none'; sandbox",
  });
  if (matches(headers['if-none-match'], etag)) return sendNotModified(reply);
  reply.type(upload.contentType);
  const appliesRange = headers['if-range'] === undefined || headers['if-range'] === etag;
  const rangeHeader = appliesRange && RANGES.test(headers.range ?? '') ? headers.range : undefined;
  const ranges = rangeHeader && parseRange(upload.sizeBytes, rangeHeader);
  if (ranges === -1) {
    const message = `The range is beyond the end of ${filename}, which has ${upload.sizeBytes} bytes.`;
    const response = errorResponse('range_not_satisfiable', message);
    return reply
      .code(response.status)
      .removeHeader('cache-control')
      .header('content-range', `bytes */${upload.sizeBytes}`)
      .type('application/json; charset=utf-8')
      .send(response.body);
  }
  // A request for several ranges gets the whole file (RFC 9110, 14.2).
  const [range] = Array.isArray(ranges) && ranges.length === 1 ? ranges : [];
  if (range === undefined) {
    return reply.header('content-length', upload.sizeBytes).send(method === 'HEAD' ? noBytes() : await open());
  }
  const end = range.end + 1;
  return reply
    .code(206)
    .header('content-range', `bytes ${range.start}-${range.end}/${upload.sizeBytes}`)
    .header('content-length', end - range.start)
    .send(await open({ start: range.start, end }));
}

function sendNotModified(reply: FastifyReply): FastifyReply {
  return reply.code(304).send();
}

/** The body of a response to HEAD, so that the file is not read for nothing. */
function noBytes(): Readable {
  return Readable.from([]);
}

function cacheControlOf({ upload }: StoredFile, requestedSha256: string | undefined): string {
  return requestedSha256 === upload.sha256 ? CACHE_IMMUTABLE : CACHE_CONTROL;
}

function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag);
}
