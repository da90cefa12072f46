import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { wireErrorBody, wireUploadedFile } from '../../api/schemas.js';
import { ServiceError } from '../../dataset/errors.js';
import { bodyOf, uploadSignal } from '../bodies.js';
import type { App, RouteContext } from '../context.js';
import { fileToWire } from '../to-wire.js';

const linkQuery = z.object({ size: z.string(), expires: z.string(), signature: z.string() });

/** The PUT behind signed links: no token, any content type or none, the body as it is. */
export function registerUploadRoutes(app: App, { uploads, links, timeouts, now, metrics }: RouteContext): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', async () => undefined);
  app.addHook('onRequest', async ({ headers }) => {
    // Whatever a client says here means nothing, and even what is no media type must not turn a good upload away.
    delete headers['content-type'];
  });

  app.put(
    '/uploads/:id',
    {
      schema: {
        tags: ['uploads'],
        summary: 'The bytes of a file, through a link from get-upload-endpoint',
        params: z.object({ id: z.string() }),
        querystring: linkQuery.partial(),
        response: { 200: wireUploadedFile, '4xx': wireErrorBody },
      },
    },
    async (request, reply) => {
      const { size = '', expires = '', signature = '' } = request.query;
      const link = links.verify({ id: request.params.id, size, expires, signature }, now());
      const sizeBytes = announcedSizeOf(request);
      const signal = uploadSignal(request, reply, { idleSeconds: timeouts.idleSeconds });
      const received = uploads.receiveLink(link, sizeBytes, { body: bodyOf(request.raw), signal });
      const file = await received.catch((error) => {
        metrics.rejected('link');
        throw error;
      });
      metrics.uploaded('link', file.upload.sizeBytes);
      return { dataset_id: file.datasetId, ...fileToWire(file) };
    },
  );
}

function announcedSizeOf({ headers }: FastifyRequest): number {
  if (headers['content-length'] === undefined) {
    throw new ServiceError('length_required', 'Send the PUT with a Content-Length, the size that was promised.');
  }
  return Number(headers['content-length']);
}
