import type { FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { MAX_DIRECT_BYTES } from '../../api/limits.js';
import {
  datasetParams,
  fileParams,
  uploadLinksBody,
  wireDeletedFile,
  wireUploadedFile,
  wireUploadLinks,
  wireWithdrawnUpload,
} from '../../api/schemas.js';
import { ServiceError } from '../../dataset/errors.js';
import type { UploadLink } from '../../service/upload/upload-links.js';
import { contentLengthOf, filePartOf, MAX_DIRECT_BODY_BYTES, uploadSignal } from '../bodies.js';
import type { App, RouteContext } from '../context.js';
import { routesTagged } from '../docs.js';
import { timeOf, uploadedToWire } from '../to-wire.js';

const route = routesTagged('files');

const DIRECT_LIMIT = {
  bytes: MAX_DIRECT_BODY_BYTES,
  message: `A direct upload accepts files of up to ${MAX_DIRECT_BYTES} bytes. Use get-upload-endpoint for larger ones.`,
};

/** The largest batch of names and sizes fits, also with each character escaped. */
const MAX_BATCH_BODY_BYTES = 32 * 1024 * 1024;

/** Routes to upload files, to request upload links, and to delete files and uploads. */
export function registerFileRoutes(app: App, context: RouteContext): void {
  const { datasets, uploads, links, timeouts, metrics } = context;

  app.post(
    '/:id/get-upload-endpoint',
    {
      bodyLimit: MAX_BATCH_BODY_BYTES,
      ...route('Signed links to upload files of known sizes', {
        params: datasetParams,
        body: uploadLinksBody,
        response: { 200: wireUploadLinks },
      }),
    },
    async (request) => {
      const { accountId, params, body } = request;
      const base = baseUrlOf(request, context.publicUrl);
      const sizes = new Map(Object.entries(body.filenameToByteSize));
      const reserved = await uploads.reserveBatch({ accountId, id: params.id }, sizes);
      const linkToWire = ({ url, headers, expiresAt }: UploadLink) => ({
        upload_url: url.startsWith('/') ? `${base}${url}` : url,
        method: 'PUT' as const,
        headers,
        expires_at: timeOf(expiresAt),
      });
      const linksByName = await links.linksFor(reserved, context.now());
      return { uploads: Object.fromEntries([...linksByName].map(([name, link]) => [name, linkToWire(link)])) };
    },
  );

  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', async () => undefined);
    scope.withTypeProvider<ZodTypeProvider>().post(
      '/:id/upload',
      {
        // The handler parses the body as a stream; the schema is for the OpenAPI document only.
        validatorCompiler: () => () => true,
        schema: {
          tags: ['files'],
          summary: 'Upload a file of up to 150,000,000 bytes',
          consumes: ['multipart/form-data'],
          params: datasetParams,
          body: z.object({ file: z.string().meta({ format: 'binary' }) }),
          response: { 200: wireUploadedFile },
        },
      },
      async (request, reply) => {
        const { accountId, raw } = request;
        const { id } = request.params as { id: string };
        const atMostBytes = contentLengthOf(request);
        if ((atMostBytes ?? 0) > DIRECT_LIMIT.bytes) throw new ServiceError('too_large', DIRECT_LIMIT.message);
        const signal = uploadSignal(request, reply, { directSeconds: timeouts.directSeconds });
        const { filename, body } = await filePartOf(raw, { limit: DIRECT_LIMIT, signal });
        const received = uploads.receiveDirect({ accountId, id }, filename, { body, signal, atMostBytes });
        const file = await received.catch((error) => {
          metrics.rejected('direct');
          throw error;
        });
        metrics.uploaded('direct', file.upload.sizeBytes);
        return uploadedToWire(file);
      },
    );
  });

  app.delete(
    '/:id/files/:filename',
    route('Delete a file, with any pending or rejected upload of its name', {
      params: fileParams,
      response: { 200: wireDeletedFile },
    }),
    async ({ accountId, params }) => {
      const filename = params.filename.normalize('NFC');
      await datasets.removeFile({ accountId, id: params.id }, filename);
      return { filename, deleted: true as const };
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
function baseUrlOf(request: FastifyRequest, publicUrl: string | undefined): string {
  if (publicUrl !== undefined) return publicUrl;
  try {
    return new URL(`${request.protocol}://${request.host}`).origin;
  } catch {
    throw new ServiceError('invalid_field', `The Host header ${JSON.stringify(request.host)} is not a valid host.`);
  }
}
