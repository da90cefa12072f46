import type { FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { MAX_DIRECT_BYTES } from '../../api/limits.js';
import {
  datasetParams,
  fileParams,
  uploadLinksBody,
  wireDeletedFile,
  wireErrorBody,
  wireUploadedFile,
  wireUploadLinks,
  wireWithdrawnUpload,
} from '../../api/schemas.js';
import { ServiceError } from '../../dataset/errors.js';
import type { UploadLink } from '../../service/upload/upload-links.js';
import { filePartOf, uploadSignal } from '../bodies.js';
import type { App, RouteContext } from '../context.js';
import { fileToWire, timeOf } from '../to-wire.js';

const security = [{ token: [] }];
const tags = ['files'];

/** Of a direct upload's body: more than this beyond the file itself is no multipart framing. */
const DIRECT_LIMIT = {
  bytes: MAX_DIRECT_BYTES + 1024 * 1024,
  message: `A direct upload takes files of up to ${MAX_DIRECT_BYTES} bytes. Use get-upload-endpoint for larger ones.`,
};

/** How the files of a dataset come and go: upload, ask for links, remove. */
export function registerFileRoutes(app: App, context: RouteContext): void {
  const { datasets, uploads, links, timeouts, metrics } = context;

  app.post(
    '/:id/get-upload-endpoint',
    {
      schema: {
        tags,
        security,
        summary: 'Signed links to upload files of known sizes',
        params: datasetParams,
        body: uploadLinksBody,
        response: { 200: wireUploadLinks, '4xx': wireErrorBody },
      },
    },
    async (request) => {
      const { accountId, params, body } = request;
      const base = baseUrlOf(request, context.publicUrl);
      const sizes = new Map(Object.entries(body.filenameToByteSize));
      const promises = await uploads.reserveBatch({ accountId, id: params.id }, sizes);
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
          response: { 200: wireUploadedFile, '4xx': wireErrorBody },
        },
      },
      async (request, reply) => {
        const { accountId, raw } = request;
        const { id } = request.params as { id: string };
        refuseHopeless(request);
        const signal = uploadSignal(request, reply, { directSeconds: timeouts.directSeconds });
        const { filename, body } = await filePartOf(raw, { limit: DIRECT_LIMIT, signal });
        const atMostBytes = announcedBytesOf(request);
        const received = uploads.receiveDirect({ accountId, id }, filename, { body, signal, atMostBytes });
        const file = await received.catch((error) => {
          metrics.rejected('direct');
          throw error;
        });
        metrics.uploaded('direct', file.upload.sizeBytes);
        return { dataset_id: id, ...fileToWire(file) };
      },
    );
  });

  app.delete(
    '/:id/files/:filename',
    {
      schema: {
        tags,
        security,
        summary: 'Remove a file, or a refused or never-kept upload of that name',
        params: fileParams,
        response: { 200: wireDeletedFile, '4xx': wireErrorBody },
      },
    },
    async ({ accountId, params }) => {
      const filename = params.filename.normalize('NFC');
      await datasets.removeFile({ accountId, id: params.id }, filename);
      return { filename, deleted: true as const };
    },
  );

  app.delete(
    '/:id/uploads/:filename',
    {
      schema: {
        tags,
        security,
        summary: 'Withdraw what was promised, refused or never kept under a name; a good file of that name stays',
        params: fileParams,
        response: { 200: wireWithdrawnUpload, '4xx': wireErrorBody },
      },
    },
    async ({ accountId, params }) => {
      const filename = params.filename.normalize('NFC');
      await datasets.withdrawUpload({ accountId, id: params.id }, filename);
      return { filename, withdrawn: true as const };
    },
  );
}

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

/** Where the client reaches us: the public URL where one is set, else the host it used for this very request. */
function baseUrlOf(request: FastifyRequest, publicUrl: string | undefined): string {
  if (publicUrl !== undefined) return publicUrl;
  try {
    return new URL(`${request.protocol}://${request.host}`).origin;
  } catch {
    throw new ServiceError('invalid_field', `The Host header ${JSON.stringify(request.host)} is not a valid host.`);
  }
}
