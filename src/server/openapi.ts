import swagger, { type SwaggerTransform, type SwaggerTransformObject } from '@fastify/swagger';
import fastify, { type RouteOptions } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { OpenAPIV3_1 } from 'openapi-types';
import { z } from 'zod';
import { BASE_PATH } from '../api/base-path.js';
import { ERROR_NUMBERS, type WireErrorCode } from '../api/error-codes.js';
import { wireErrorBody } from '../api/schemas.js';
import type { ServerOptions } from './context.js';

const DESCRIPTION = `The dataset service for LoRA training: upload images, videos and captions, poll until READY, mount.

Every client of the hosted Trainer dataset API works here with a different base URL and token.`;

/** Marks an operation whose body may be left out, until `transformObject`: the plugin declares every body as required. */
const OPTIONAL_BODY = 'x-optional-body';

/** The OpenAPI document of routes, made from the schemas that validate requests. */
export async function openApiOf(
  routes: readonly RouteOptions[],
  { version, publicUrl }: Pick<ServerOptions, 'version' | 'publicUrl'>,
): Promise<object> {
  // An app of its own, which answers nothing: the plugin must see the routes as they are added.
  const app = fastify({ exposeHeadRoutes: false });
  app.setValidatorCompiler(() => () => true);
  app.setSerializerCompiler(() => () => '');
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
            description: 'Send it with the other parameters of the query that `links` or `tar-link` returns.',
          },
        },
      },
    },
    transform: documentRoute,
    transformObject: documentBodies,
  });
  for (const { method, url, schema = {}, config } of routes) {
    app.route({ method, url, schema, ...(config && { config }), handler: async () => {} });
  }
  await app.ready();
  return app.swagger();
}

/** Documents the token or read link that `requireToken` requires of a request, and all answers. */
const documentRoute: SwaggerTransform = (document) => {
  const { url, route } = document;
  const { errors: _, ...given } = document.schema;
  const transformed = jsonSchemaTransform({ ...document, schema: given });
  if (given.hide) return transformed;
  const response = {
    ...withHeaders(transformed.schema.response, given.response),
    ...errorAnswers(errorsOf(route)),
  };
  const isOptional = given.body instanceof z.ZodOptional;
  const schema = { ...transformed.schema, response, ...(isOptional && { [OPTIONAL_BODY]: true }) };
  if (!url.startsWith(BASE_PATH)) return { url, schema };
  return { url, schema: { ...schema, security: [{ token: [] }, ...(acceptsLink(route) ? [{ link: [] }] : [])] } };
};

/** Adds the headers of answers, which `jsonSchemaTransform` drops, and a description where there is none. */
function withHeaders(transformed: unknown, given: unknown): Record<string, object> {
  const answers = (transformed ?? {}) as Record<string, object>;
  const headersOf = (status: string) => (given as Record<string, { headers?: object }>)[status]?.headers;
  const entries = Object.entries(answers).map(([status, answer]) => {
    const headers = headersOf(status);
    return [status, { description: 'OK', ...answer, ...(headers && { headers }) }] as const;
  });
  return Object.fromEntries(entries);
}

function acceptsLink({ config }: RouteOptions): boolean {
  return config?.acceptsReadLink === true || config?.acceptsTarLink === true;
}

/** A GET, too, can have a body, which is read within limits and ignored. */
const ERRORS_OF_ANY_REQUEST: readonly WireErrorCode[] = [
  'overloaded',
  'bad_request',
  'request_too_slow',
  'too_large',
  'expectation_failed',
  'headers_too_large',
  'internal',
  'shutting_down',
  'unavailable',
];

/** Every error that the route can answer with. */
function errorsOf(route: RouteOptions): Set<WireErrorCode> {
  const { method, url, schema = {} } = route;
  const codes: WireErrorCode[] = [...ERRORS_OF_ANY_REQUEST, ...(schema.errors ?? [])];
  if (url.startsWith(BASE_PATH)) {
    codes.push('unauthorized', 'too_many_requests');
    if (method !== 'GET' && route.config?.isRead !== true) codes.push('not_allowed');
    if (acceptsLink(route)) codes.push('link_invalid', 'link_expired');
    if (route.config?.acceptsTarLink) codes.push('link_withdrawn');
    if (url.includes('/:id')) codes.push('dataset_not_found');
    if (url.endsWith('/:filename')) codes.push('file_not_found');
  }
  if (method !== 'GET') codes.push('no_space');
  // JSON is parsed also where no schema describes it.
  const takesJson = method !== 'GET' && schema.consumes === undefined;
  if (takesJson) codes.push('unsupported_body', 'malformed_body');
  if (schema.querystring !== undefined || (takesJson && schema.body !== undefined)) codes.push('invalid_field');
  return new Set(codes);
}

/** One answer for each status. */
function errorAnswers(codes: ReadonlySet<WireErrorCode>): Record<number, object> {
  const byStatus = new Map<number, WireErrorCode[]>();
  for (const code of codes) {
    const status = Math.floor(ERROR_NUMBERS[code] / 1000);
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries([...byStatus].map(([status, names]) => [status, errorAnswer(status, names)]));
}

const HEADERS_OF_STATUS: Record<number, object> = {
  401: { 'WWW-Authenticate': { type: 'string', description: 'Always `Bearer`.' } },
  416: { 'Content-Range': { type: 'string', description: 'The size of the file: `bytes */1234`.' } },
  429: { 'Retry-After': { type: 'string', description: 'Seconds to wait before the next try.' } },
  503: { 'Retry-After': { type: 'string', description: 'Seconds to wait before the next try.' } },
};

function errorAnswer(status: number, codes: readonly WireErrorCode[]): object {
  const numbers = { properties: { error_code: { enum: codes.map((code) => ERROR_NUMBERS[code]) } } };
  const schema = { allOf: [{ $ref: `#/components/schemas/${wireErrorBody.meta()?.id}` }, numbers] };
  return {
    description: codes.map((code) => `${ERROR_NUMBERS[code]} \`${code}\``).join(', '),
    content: { 'application/json': { schema } },
    ...(HEADERS_OF_STATUS[status] && { headers: HEADERS_OF_STATUS[status] }),
  };
}

const documentBodies: SwaggerTransformObject = (document) => {
  const openapi = jsonSchemaTransformObject(document) as OpenAPIV3_1.Document;
  for (const path of Object.values(openapi.paths ?? {})) {
    for (const operation of Object.values(path ?? {}) as OpenAPIV3_1.OperationObject<Record<string, unknown>>[]) {
      const { [OPTIONAL_BODY]: isOptional, requestBody } = operation;
      if (isOptional && requestBody && 'required' in requestBody) requestBody.required = false;
      delete operation[OPTIONAL_BODY];
    }
  }
  return openapi;
};
