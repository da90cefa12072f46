import swagger, { type SwaggerTransform } from '@fastify/swagger';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { BASE_PATH } from '../api/base-path.js';
import { wireErrorBody } from '../api/schemas.js';
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
    transform: documentRoute,
    transformObject: jsonSchemaTransformObject,
  });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
}

/** Documents the token or read link that `requireToken` requires of a request, and the body of an error. */
const documentRoute: SwaggerTransform = (document) => {
  const { schema, url, route } = document;
  if (!url.startsWith(BASE_PATH)) return jsonSchemaTransform(document);
  const security = [{ token: [] }, ...(route.config?.acceptsReadLink ? [{ link: [] }] : [])];
  const response = { ...(schema.response as object), '4xx': wireErrorBody };
  return jsonSchemaTransform({ ...document, schema: { ...schema, security, response } });
};

/** Returns a function that makes the options of a route, which is documented under `tag`. */
export function routesTagged(tag: string) {
  return <S extends object>(summary: string, schema: S) => ({ schema: { tags: [tag], summary, ...schema } });
}
