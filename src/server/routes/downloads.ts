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
  wireErrorBody,
  wireFilePage,
  wireReadLink,
} from '../../api/schemas.js';
import type { StoredFile } from '../../dataset/dataset.js';
import { tarOf } from '../../service/download/tar.js';
import { zipOf } from '../../service/download/zip.js';
import type { App, RouteContext } from '../context.js';
import { errorResponse } from '../errors.js';
import { fileToWire, timeOf } from '../to-wire.js';

const security = [{ token: [] }];
/** Of what browsers read by themselves. */
const tokenOrLink = [...security, { link: [] }];
const tags = ['files'];

/** Bytes never change under an ETag, but a name may get other bytes at any time. */
const CACHE_CONTROL = 'private, no-cache';

/** Where the URL names the bytes, they never change. */
const CACHE_FOR_EVER = 'private, max-age=31536000, immutable';

/** How the files of a dataset are read. */
export function registerDownloadRoutes(app: App, context: RouteContext): void {
  const { datasets, downloads, readLinks, now } = context;

  app.get(
    '/:id/links',
    {
      schema: {
        tags,
        security,
        summary: 'A query with which files, thumbnails and the zip archive can be read without a token',
        params: datasetParams,
        response: { 200: wireReadLink, '4xx': wireErrorBody },
      },
    },
    async ({ accountId, params }) => {
      const key = { accountId, id: params.id };
      await datasets.summary(key);
      const { query, expiresAt } = readLinks.linkFor(key, now());
      return { query, expires_at: timeOf(expiresAt) };
    },
  );

  app.get(
    '/:id/files',
    {
      schema: {
        tags,
        security,
        summary: 'Some files at a time, in the order of their names',
        params: datasetParams,
        querystring: filesQuery,
        response: { 200: wireFilePage, '4xx': wireErrorBody },
      },
    },
    async ({ accountId, params, query }) => {
      const { files, isLast } = await downloads.page({ accountId, id: params.id }, query);
      return { files: files.map(fileToWire), next_after: isLast ? null : (files.at(-1)?.filename ?? null) };
    },
  );

  app.get(
    '/:id/files/:filename',
    {
      config: { acceptsReadLink: true },
      schema: {
        tags,
        security: tokenOrLink,
        summary: "A file's bytes; ranges and ETags are understood",
        params: fileParams,
        querystring: fileQuery,
        response: { 200: wireBytes, '4xx': wireErrorBody },
      },
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
      schema: {
        tags,
        security: tokenOrLink,
        summary: 'A WebP of an image, 320 pixels on its longest side',
        params: fileParams,
        querystring: thumbnailQuery,
        response: { 200: wireBytes, '4xx': wireErrorBody },
      },
    },
    async ({ accountId, params, query, headers }, reply) => {
      const file = await downloads.file({ accountId, id: params.id }, params.filename);
      const etag = `"${file.upload.sha256}-thumbnail"`;
      const cacheControl = cacheControlOf(file, query.sha256);
      reply.headers({ etag, 'cache-control': cacheControl, 'x-content-type-options': 'nosniff' });
      if (matches(headers['if-none-match'], etag)) return reply.code(304).send();
      return reply.type('image/webp').send(await downloads.thumbnail(file));
    },
  );

  app.post(
    '/:id/archive',
    {
      schema: {
        tags,
        security,
        summary: 'The bytes of several files at once, as a tar archive in the order of the names',
        params: datasetParams,
        body: namesBody,
        response: { 200: wireBytes, '4xx': wireErrorBody },
      },
    },
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
      schema: {
        tags,
        security: tokenOrLink,
        summary: 'All files as one zip archive, not compressed any further',
        params: datasetParams,
        response: { 200: wireBytes, '4xx': wireErrorBody },
      },
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
    {
      schema: {
        tags,
        security,
        summary: 'The texts of several captions at once, in the order of the names',
        params: datasetParams,
        body: namesBody,
        response: { 200: wireCaptions, '4xx': wireErrorBody },
      },
    },
    async ({ accountId, params, body }) => {
      const captions = await downloads.captions({ accountId, id: params.id }, body.filenames);
      return {
        captions: captions.map(({ file, text }) => ({ filename: file.filename, sha256: file.upload.sha256, text })),
      };
    },
  );
}

/** What is no byte range must be ignored, while one that is and lies beyond the end is refused (RFC 9110, 14.2). */
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
    // Should a browser open the file by itself, nothing in it may act.
    'content-security-policy': "default-src 'none'; sandbox",
  });
  if (matches(headers['if-none-match'], etag)) return reply.code(304).send();
  reply.type(upload.contentType);
  const isRangeWanted = headers['if-range'] === undefined || headers['if-range'] === etag;
  const wanted = isRangeWanted && RANGES.test(headers.range ?? '') ? headers.range : undefined;
  const ranges = wanted && parseRange(upload.sizeBytes, wanted);
  if (ranges === -1) {
    const refused = errorResponse('range_not_satisfiable', `${filename} has ${upload.sizeBytes} bytes.`);
    return reply
      .code(refused.status)
      .removeHeader('cache-control')
      .header('content-range', `bytes */${upload.sizeBytes}`)
      .type('application/json; charset=utf-8')
      .send(refused.body);
  }
  // Several ranges at once may be answered with the whole (RFC 9110, 14.2).
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

/** To a HEAD, which would else have the whole body read for nothing. */
function noBytes(): Readable {
  return Readable.from([]);
}

function cacheControlOf({ upload }: StoredFile, named: string | undefined): string {
  return named === upload.sha256 ? CACHE_FOR_EVER : CACHE_CONTROL;
}

function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag);
}
