import type { FastifySchema, RouteOptions } from 'fastify';
import type { WireErrorCode } from '../api/error-codes.js';
import { wireBytes } from '../api/schemas.js';
import type { App, ServerOptions } from './context.js';

declare module 'fastify' {
  interface FastifySchema {
    /** The errors of this route, beside those that follow from its method, its path and the kind of its body. */
    errors?: readonly WireErrorCode[];
  }
}

/** Serves `/openapi.json`, which is made when it is first requested. The page at `/docs` shows it. */
export function registerDocs(app: App, options: ServerOptions): void {
  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => {
    if (route.method !== 'HEAD' && route.schema?.hide !== true) routes.push(route);
  });
  let text: Promise<Buffer> | undefined;
  const makeText = async () => {
    const { openApiOf } = await import('./openapi.js');
    return Buffer.from(JSON.stringify(await openApiOf(routes, options)));
  };
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    text ??= makeText();
    return reply.type('application/json; charset=utf-8').send(await text);
  });
}

/** Documents a body that is not JSON. */
export function bytesOf(
  description: string,
  { types, headers = {} }: { types: readonly string[]; headers?: Readonly<Record<string, string>> },
) {
  const toSchema = ([name, text]: [string, string]) => [name, { type: 'string', description: text }];
  return {
    description,
    content: Object.fromEntries(types.map((type) => [type, { schema: wireBytes }])),
    headers: Object.fromEntries(Object.entries(headers).map(toSchema)),
  };
}

/** Returns a function that makes the options of a route, which is documented under `tag`. */
export function routesTagged(tag: string) {
  return <S extends FastifySchema>(summary: string, schema: S) => ({ schema: { tags: [tag], summary, ...schema } });
}
