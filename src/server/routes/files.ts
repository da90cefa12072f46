import type { FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { MAX_BATCH_BODY_BYTES, MAX_BATCH_FILES, MAX_DIRECT_BYTES } from '../../api/limits.js';
import { changeHeaders, datasetParams, fileParams, uploadLinksBody, writeHeaders } from '../../api/request-schemas.js';
import {
  wireBytes,
  wireDeletedFile,
  wireUploadedFile,
  type WireUploadLink,
  wireUploadLinks,
  wireWithdrawnUpload,
} from '../../api/schemas.js';
import { ServiceError } from '../../dataset/errors.js';
import type { UploadLink } from '../../service/upload/upload-links.js';
import { authorOf } from '../author.js';
import { contentLengthOf, filePartOf, MAX_DIRECT_BODY_BYTES, uploadSignal } from '../bodies.js';
import { conditionOf, etagOf, expectedConditionsOf } from '../conditions.js';
import type { App, RouteContext } from '../context.js';
import { routesTagged } from '../docs.js';
import { timeOf, uploadedToWire } from '../to-wire.js';

const route = routesTagged('files');

/** A size and a condition for each file of the largest batch. */
const MAX_BATCH_VALUES = 2 * MAX_BATCH_FILES + 1000;

const DIRECT_LIMIT = {
  bytes: MAX_DIRECT_BODY_BYTES,
  message: `A direct upload accepts files of up to ${MAX_DIRECT_BYTES} bytes. Use get-upload-endpoint for larger ones.`,
};

const UPLOAD_ERRORS = [
  'invalid_field',
  'precondition_failed',
  'invalid_name',
  'unsupported_type',
  'unsupported_body',
  'malformed_body',
  'check_too_slow',
  'invalid_content',
  'link_withdrawn',
  'upload_cut_short',
  'upload_too_slow',
  'quota_exceeded',
  'too_many_uploads',
] as const;

/** Uploads of a batch whose ids are in its line of the audit log; a larger batch has their number alone. */
const MAX_AUDITED_UPLOADS = 20;

/** Routes to upload files, to request upload links, and to delete files and uploads. */
export function registerFileRoutes(app: App, context: RouteContext): void {
  const { datasets, uploads, links, timeouts, metrics } = context;

  app.post(
    '/:id/get-upload-endpoint',
    {
      bodyLimit: MAX_BATCH_BODY_BYTES,
      config: { maxValues: MAX_BATCH_VALUES },
      ...route('Signed links to upload files of known sizes', {
        params: datasetParams,
        headers: changeHeaders,
        body: uploadLinksBody,
        response: { 200: wireUploadLinks },
        errors: ['invalid_name', 'unsupported_type', 'precondition_failed', 'quota_exceeded'],
      }),
    },
    async (request) => {
      const { accountId, params, body } = request;
      const base = baseUrlOf(request, context.publicUrl);
      const sizes = new Map(Object.entries(body.filenameToByteSize));
      request.audited = { files: sizes.size };
      const conditions = expectedConditionsOf(body.ifMatch, {
        hasName: (filename) => sizes.has(filename),
        namesIn: 'filenameToByteSize',
      });
      const options = { author: authorOf(request, 'upload'), conditions, signal: context.stopping };
      const linkToWire = ({ url, headers, expiresAt }: UploadLink) => ({
        upload_url: url.startsWith('/') ? `${base}${url}` : url,
        method: 'PUT' as const,
        headers,
        expires_at: timeOf(expiresAt),
      });
      // Until the work ends: once it has begun, it goes on for a client that has gone.
      const release = context.filesInFlight.hold(accountId, sizes.size);
      try {
        const made: [string, WireUploadLink][] = [];
        for await (const files of uploads.reserveBatch({ accountId, id: params.id }, sizes, options)) {
          if (sizes.size <= MAX_AUDITED_UPLOADS) {
            request.audited = { files: sizes.size, uploads: [...files.values()].map(({ id }) => id) };
          }
          const some = await links.linksFor(files, context.now());
          for (const [name, link] of some) made.push([name, linkToWire(link)]);
        }
        return { uploads: Object.fromEntries(made) };
      } finally {
        release();
      }
    },
  );

  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', async () => undefined);
    scope.withTypeProvider<ZodTypeProvider>().post(
      '/:id/upload',
      {
        config: { streamsBody: true },
        // The handler parses the body as a stream; the schema is for the OpenAPI document only.
        validatorCompiler: () => () => true,
        schema: {
          tags: ['files'],
          summary: 'Upload a file of up to 150,000,000 bytes',
          consumes: ['multipart/form-data'],
          params: datasetParams,
          headers: writeHeaders,
          body: z.object({ file: wireBytes }),
          response: { 200: wireUploadedFile },
          errors: UPLOAD_ERRORS,
        },
      },
      async (request, reply) => {
        const { accountId, raw } = request;
        const { id } = request.params as { id: string };
        const atMostBytes = contentLengthOf(request);
        if ((atMostBytes ?? 0) > DIRECT_LIMIT.bytes) throw new ServiceError('too_large', DIRECT_LIMIT.message);
        const condition = conditionOf(request.headers);
        const author = authorOf(request, 'upload');
        const signal = uploadSignal(request, reply, { directSeconds: timeouts.directSeconds });
        const { filename, body } = await filePartOf(raw, { limit: DIRECT_LIMIT, signal });
        request.audited = { filename };
        const incoming = { body, signal, atMostBytes, author, condition };
        const received = uploads.receiveDirect({ accountId, id }, filename, incoming);
        const file = await received.catch((error) => {
          metrics.rejected('direct');
          throw error;
        });
        metrics.uploaded('direct', file.upload.sizeBytes);
        reply.header('etag', etagOf(file.upload));
        return uploadedToWire(file);
      },
    );
  });

  app.delete(
    '/:id/files/:filename',
    route('Delete a file, with any pending or rejected upload of its name', {
      params: fileParams,
      headers: writeHeaders,
      response: { 200: wireDeletedFile },
      errors: ['precondition_failed', 'invalid_field'],
    }),
    async (request) => {
      const { accountId, params, headers } = request;
      const filename = params.filename.normalize('NFC');
      const options = { author: authorOf(request, 'delete'), condition: conditionOf(headers) };
      const revision = await datasets.removeFile({ accountId, id: params.id }, filename, options);
      return { filename, deleted: true as const, revision };
    },
  );

  app.delete(
    '/:id/uploads/:filename',
    route('Remove pending and rejected uploads of a name; a stored file of that name stays', {
      params: fileParams,
      response: { 200: wireWithdrawnUpload },
    }),
    async ({ accountId, params }) => {
      const filename = params.filename.normalize('NFC');
      await datasets.withdrawUpload({ accountId, id: params.id }, filename);
      return { filename, withdrawn: true as const };
    },
  );
}

/** The public URL of the service; if none is set, the host that the client used for this request. */
export function baseUrlOf(request: FastifyRequest, publicUrl: string | undefined): string {
  if (publicUrl !== undefined) return publicUrl;
  try {
    return new URL(`${request.protocol}://${request.host}`).origin;
  } catch {
    throw new ServiceError('invalid_field', `The Host header ${JSON.stringify(request.host)} is not a valid host.`);
  }
}
