import swagger from '@fastify/swagger';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { App, ServerOptions } from './context.js';

const DESCRIPTION = `The dataset service for LoRA training: upload images, videos and captions, poll until READY, mount.

Every client of the hosted Trainer dataset API works here with another base URL and token.`;

/** `/openapi.json` from the schemas that check the requests; the page at `/docs` shows it. */
export async function registerDocs(app: App, { version, publicUrl }: ServerOptions): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'trainyard', version, description: DESCRIPTION },
      servers: [{ url: publicUrl ?? '/' }],
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer' },
          link: {
            type: 'apiKey',
            in: 'query',
            name: 'signature',
            description: 'With the rest of the query of `links`.',
          },
        },
      },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
}
