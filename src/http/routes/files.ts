import contentDisposition from 'content-disposition';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import parseRange from 'range-parser';
import { z } from 'zod';
import type { StoredFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { archiveOf } from '../../service/archive.js';
import { MAX_DIRECT_BYTES } from '../../service/parts.js';
import type { UploadLink } from '../../service/upload-link.js';
import { filePartOf, uploadSignal } from '../bodies.js';
import type { App, RouteContext } from '../context.js';
import { refusal } from '../errors.js';
import { fileOnWire, timeOf } from '../present.js';
import {
  archiveBody,
  datasetParams,
  fileParams,
  promiseBody,
  wireBytes,
  wireDeletedFile,
  wireRefusal,
  wireUploadedFile,
  wireUploadLinks,
} from '../wire.js';

const security = [{ token: [] }];
const tags = ['files'];

/** Of a direct upload's body: more than this beyond the file itself is no multipart framing. */
const DIRECT_LIMIT = {
  bytes: MAX_DIRECT_BYTES + 1024 * 1024,
  message: `A direct upload takes files of up to ${MAX_DIRECT_BYTES} bytes. Use get-upload-endpoint for larger ones.`,
};

/** Bytes never change under an ETag, but a name may get other bytes at any time. */
const CACHE_CONTROL = 'private, no-cache';

/** The files of a dataset: upload, ask for links, read, remove. */
export function registerFileRoutes(app: App, context: RouteContext): void {
  const { datasets, uploads, reading, links, times, metrics } = context;

  app.post(
    '/:id/get-upload-endpoint',
    {
      schema: {
        tags,
        security,
        summary: 'Signed links to upload files of known sizes',
        params: datasetParams,
        body: promiseBody,
        response: { 200: wireUploadLinks, '4xx': wireRefusal },
      },
    },
    async (request) => {
      const { accountId, params, body } = request;
      const base = baseUrlOf(request, context.publicUrl);
      const sizes = new Map(Object.entries(body.filenameToByteSize));
      const promises = await uploads.promiseBatch({ accountId, id: params.id }, sizes);
      const linkOnWire = ({ url, headers, expiresAt }: UploadLink) => ({
        upload_url: url.startsWith('/') ? `${base}${url}` : url,
        method: 'PUT' as const,
        headers,
        expires_at: timeOf(expiresAt),
      });
      const found = await links.linksFor(promises, context.now());
      return { uploads: Object.fromEntries([...found].map(([name, link]) => [name, linkOnWire(link)])) };
    },
  );

  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', async () => undefined);
    scope.withTypeProvider<ZodTypeProvider>().post(
      '/:id/upload',
      {
        // The body is a stream and is read by hand; the schema is for the document.
        validatorCompiler: () => () => true,
        schema: {
          tags,
          security,
          summary: 'Upload a file of up to 150,000,000 bytes',
          consumes: ['multipart/form-data'],
          params: datasetParams,
          body: z.object({ file: z.string().meta({ format: 'binary' }) }),
          response: { 200: wireUploadedFile, '4xx': wireRefusal },
        },
      },
      async (request, reply) => {
        const { accountId, raw } = request;
        const { id } = request.params as { id: string };
        refuseHopeless(request);
        const signal = uploadSignal(request, reply, { directSeconds: times.directSeconds });
        const { filename, body } = await filePartOf(raw, { limit: DIRECT_LIMIT, signal });
        const atMostBytes = announcedBytesOf(request);
        const received = uploads.receiveDirect({ accountId, id }, filename, { body, signal, atMostBytes });
        const file = await received.catch((error) => {
          metrics.refused('direct');
          throw error;
        });
        metrics.uploaded('direct', file.upload.sizeBytes);
        return { dataset_id: id, ...fileOnWire(file) };
      },
    );
  });

  app.get(
    '/:id/files/:filename',
    {
      schema: {
        tags,
        security,
        summary: "A file's bytes; ranges and ETags are understood",
        params: fileParams,
        response: { 200: wireBytes, '4xx': wireRefusal },
      },
    },
    async (request, reply) => {
      const { accountId, params } = request;
      const file = await reading.file({ accountId, id: params.id }, params.filename);
      return sendFile(request, reply, file, (range) => reading.bytes(file, range));
    },
  );

  app.get(
    '/:id/files/:filename/thumbnail',
    {
      schema: {
        tags,
        security,
        summary: 'A WebP of an image, 320 pixels on its longest side',
        params: fileParams,
        response: { 200: wireBytes, '4xx': wireRefusal },
      },
    },
    async ({ accountId, params, headers }, reply) => {
      const file = await reading.file({ accountId, id: params.id }, params.filename);
      const etag = `"${file.upload.sha256}-thumbnail"`;
      reply.headers({ etag, 'cache-control': CACHE_CONTROL, 'x-content-type-options': 'nosniff' });
      if (matches(headers['if-none-match'], etag)) return reply.code(304).send();
      return reply.type('image/webp').send(await reading.thumbnail(file));
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
        body: archiveBody,
        response: { 200: wireBytes, '4xx': wireRefusal },
      },
    },
    async ({ accountId, params, body }, reply) => {
      const files = await reading.files({ accountId, id: params.id }, body.filenames);
      const archive = archiveOf(files, (file) => reading.bytes(file));
      reply.headers({ 'cache-control': CACHE_CONTROL, 'content-length': archive.sizeBytes });
      return reply.type('application/x-tar').send(archive.body);
    },
  );

  app.delete(
    '/:id/files/:filename',
    {
      schema: {
        tags,
        security,
        summary: 'Remove a file, or a refused or never-kept upload of that name',
        params: fileParams,
        response: { 200: wireDeletedFile, '4xx': wireRefusal },
      },
    },
    async ({ accountId, params }) => {
      const filename = params.filename.normalize('NFC');
      await datasets.removeFile({ accountId, id: params.id }, filename);
      return { filename, deleted: true as const };
    },
  );
}

/** What is no byte range must be ignored, while one that is and lies beyond the end is refused (RFC 9110, 14.2). */
const RANGES = /^bytes=\s*(\d+-\d*|-\d+)(\s*,\s*(\d+-\d*|-\d+))*\s*$/;

/** Of the whole body; `undefined` where the request does not say. */
function announcedBytesOf({ headers }: FastifyRequest): number | undefined {
  return headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
}

/** A body that announces far more than the limit needs not be sent at all. */
function refuseHopeless(request: FastifyRequest): void {
  if ((announcedBytesOf(request) ?? 0) > DIRECT_LIMIT.bytes) {
    throw new ServiceError('too_large', DIRECT_LIMIT.message);
  }
}

async function sendFile(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  { filename, upload }: StoredFile,
  open: (range?: { start: number; end: number }) => Promise<NodeJS.ReadableStream>,
) {
  const etag = `"${upload.sha256}"`;
  reply.headers({
    etag,
    'accept-ranges': 'bytes',
    'cache-control': CACHE_CONTROL,
    'content-disposition': contentDisposition(filename, { type: 'inline' }),
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
    const refused = refusal('range_not_satisfiable', `${filename} has ${upload.sizeBytes} bytes.`);
    return reply
      .code(refused.status)
      .header('content-range', `bytes */${upload.sizeBytes}`)
      .type('application/json; charset=utf-8')
      .send(refused.body);
  }
  // Several ranges at once may be answered with the whole (RFC 9110, 14.2).
  const [range] = Array.isArray(ranges) && ranges.length === 1 ? ranges : [];
  if (range === undefined) return reply.header('content-length', upload.sizeBytes).send(await open());
  const end = range.end + 1;
  return reply
    .code(206)
    .header('content-range', `bytes ${range.start}-${range.end}/${upload.sizeBytes}`)
    .header('content-length', end - range.start)
    .send(await open({ start: range.start, end }));
}

function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag);
}

/** Where the client reaches us: the public URL where one is set, else the host it used for this very request. */
function baseUrlOf(request: FastifyRequest, publicUrl: string | undefined): string {
  if (publicUrl !== undefined) return publicUrl;
  try {
    return new URL(`${request.protocol}://${request.host}`).origin;
  } catch {
    throw new ServiceError('invalid_field', `The Host header ${JSON.stringify(request.host)} is not a valid host.`);
  }
}
