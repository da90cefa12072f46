import { z } from 'zod';
import { wireBytes, wireUploadedFile } from '../../api/schemas.js';
import type { DatasetFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { bodyOf, contentLengthOf, uploadSignal } from '../bodies.js';
import { etagOf } from '../conditions.js';
import type { App, RouteContext } from '../context.js';
import { uploadedToWire } from '../to-wire.js';

const LINK_ERRORS = [
  'precondition_failed',
  'link_invalid',
  'link_expired',
  'link_withdrawn',
  'upload_finalized',
  'length_required',
  'wrong_size',
  'invalid_content',
  'upload_cut_short',
  'upload_too_slow',
  'too_many_uploads',
  'quota_exceeded',
] as const;

const linkQuery = z.object({ size: z.string(), expires: z.string(), signature: z.string() });

/** The route of signed upload links: PUT without a token, with any content type. */
export function registerUploadRoutes(app: App, context: RouteContext): void {
  const { uploads, links, timeouts, now, metrics } = context;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', async () => undefined);
  app.addHook('onRequest', async ({ headers }) => {
    // The content type is ignored; a malformed one must not reject the upload.
    delete headers['content-type'];
  });

  app.put(
    '/uploads/:id',
    {
      schema: {
        tags: ['uploads'],
        summary: 'Upload the bytes of a file through a link from get-upload-endpoint',
        params: z.object({ id: z.string() }),
        querystring: linkQuery.partial(),
        body: wireBytes,
        consumes: ['application/octet-stream'],
        response: { 200: wireUploadedFile },
        errors: LINK_ERRORS,
      },
    },
    async (request, reply) => {
      const { size = '', expires = '', signature = '' } = request.query;
      const link = links.verify({ id: request.params.id, size, expires, signature }, now());
      request.audited = { upload: link.fileId };
      const sizeBytes = contentLengthOf(request);
      if (sizeBytes === undefined) {
        throw new ServiceError('length_required', 'Send the PUT with a Content-Length of the exact file size.');
      }
      const signal = uploadSignal(request, reply, { idleSeconds: timeouts.idleSeconds });
      const onFile = ({ datasetId, filename }: DatasetFile) => {
        request.audited = { upload: link.fileId, dataset: datasetId, filename };
      };
      const received = uploads.receiveLink(link, sizeBytes, { body: bodyOf(request.raw), signal, onFile });
      const file = await received.catch((error) => {
        metrics.rejected('link');
        throw error;
      });
      metrics.uploaded('link', file.upload.sizeBytes);
      reply.header('etag', etagOf(file.upload));
      return uploadedToWire(file);
    },
  );
}
