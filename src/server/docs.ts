import swagger from '@fastify/swagger';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { App, ServerOptions } from './context.js';

const DESCRIPTION = `The dataset service for LoRA training: upload images, videos and captions, poll until READY, mount.

Every client of the hosted Trainer dataset API works here with a different base URL and token.`;

/** Serves `/openapi.json`, made from the schemas that validate requests. The page at `/docs` shows it. */
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
            description: 'Send it with the other parameters of the query that `links` returns.',
          },
        },
      },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
}
