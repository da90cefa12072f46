import { z } from 'zod';
import { BASE_PATH } from '../api/limits.js';
import { ERROR_NUMBERS, type WireErrorCode } from '../api/error-codes.js';
import { type BytesAnswer, hasBasePath, type PathParameter, ROUTES, type Route } from '../api/routes.js';
import { wireBytes, wireErrorBody } from '../api/schemas.js';
import { paramsSchemaOf } from './register-routes.js';

const DESCRIPTION = `The dataset service for LoRA training: upload images, videos and captions, poll until READY, mount.

Every client of the hosted Trainer dataset API works here with a different base URL and token.

The guides are in the folder of the program: docs/start.md, docs/datasets.md for what READY means, docs/page.md, docs/cli.md,
docs/mounting.md, docs/history.md, and docs/api.md for a walk with curl.`;

/** By the first word in the name of a route. */
const TAGS: Readonly<Record<string, string>> = {
  dataset: 'datasets',
  links: 'pairs',
  upload: 'files',
  uploads: 'files',
  file: 'files',
  captions: 'files',
  tar: 'mounting',
  revision: 'history',
  session: 'account',
  token: 'account',
  share: 'account',
  webhook: 'webhooks',
  service: 'operations',
};

const SECURITY_SCHEMES = {
  token: { type: 'http', scheme: 'bearer' },
  link: {
    type: 'apiKey',
    in: 'query',
    name: 'signature',
    description: 'Send it with the other parameters of the query of the link.',
  },
};

/** JSON Schemas, and as components those that have an id. */
class Schemas {
  readonly #made = { input: new Map<z.ZodType, object>(), output: new Map<z.ZodType, object>() };
  readonly #components = { input: {}, output: {} };

  /** @param io of a request or of an answer, which differ by defaults */
  of(schema: z.ZodType, io: 'input' | 'output' = 'output'): object {
    const made = this.#made[io].get(schema);
    if (made !== undefined) return made;
    // At the top, a schema with an id would not become a component.
    const { properties, $defs } = z.toJSONSchema(z.object({ schema }), { io, unrepresentable: 'any' });
    Object.assign(this.#components[io], $defs);
    const json = properties!.schema as object;
    this.#made[io].set(schema, json);
    return json;
  }

  get components(): object {
    return { ...this.#components.input, ...this.#components.output };
  }
}

/** @param publicUrl for clients */
export function openApiOf({ version, publicUrl }: { version: string; publicUrl: string | undefined }): object {
  const schemas = new Schemas();
  const paths: Record<string, Record<string, object>> = {};
  for (const [name, row] of Object.entries(ROUTES) as [string, Route][]) {
    const [method = '', path = ''] = row.at.split(' ');
    const url = `${hasBasePath(row) ? BASE_PATH : ''}${path}`.replaceAll(/:(\w+)/g, '{$1}');
    paths[url] = { ...paths[url], [method.toLowerCase()]: operationOf(name, row, schemas) };
  }
  const document = {
    openapi: '3.1.0',
    info: { title: 'trainyard', version, description: DESCRIPTION, license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: publicUrl ?? '/' }],
    paths,
    components: { securitySchemes: SECURITY_SCHEMES, schemas: schemas.components },
  };
  return JSON.parse(JSON.stringify(document).replaceAll('"#/$defs/', '"#/components/schemas/'));
}

function operationOf(name: string, row: Route, schemas: Schemas): object {
  const [word = ''] = name.split('.');
  const { body, bodyType = 'application/json', answer, otherAnswers = {}, link } = row;
  const answers = Object.entries({ 200: answer, ...otherAnswers }).map(([status, each]) => {
    return [status, answerOf(each, schemas)];
  });
  return {
    ...{ operationId: name, summary: row.summary, tags: [TAGS[word] ?? word] },
    security: [...(hasBasePath(row) ? [{ token: [] }] : []), ...(link === undefined ? [] : [{ link: [] }])],
    parameters: parametersOf(row, schemas),
    ...(body !== undefined && {
      requestBody: {
        required: !body.safeParse(undefined).success || body === wireBytes,
        content: { [bodyType]: { schema: schemas.of(body, 'input') } },
      },
    }),
    responses: { ...Object.fromEntries(answers), ...errorAnswers(errorsOf(row), schemas) },
  };
}

function parametersOf({ at, query, headers = {} }: Route, schemas: Schemas): object[] {
  const inSchema = (place: string, { shape }: z.ZodObject) =>
    Object.entries(shape as Record<string, z.ZodType>).map(([name, schema]) => ({
      ...{ in: place, name, required: place === 'path' || !schema.safeParse(undefined).success },
      ...(schema.description && { description: schema.description }),
      schema: schemas.of(schema, 'input'),
    }));
  return [
    ...inSchema('path', paramsSchemaOf(at)),
    ...(query === undefined ? [] : inSchema('query', query)),
    ...Object.entries(headers).map(([name, description]) => ({
      ...{ in: 'header', name, required: false },
      ...(description && { description }),
      schema: { type: 'string' },
    })),
  ];
}

function answerOf(answer: z.ZodType | BytesAnswer, schemas: Schemas): object {
  if (answer instanceof z.ZodType) {
    return { description: 'OK', content: { 'application/json': { schema: schemas.of(answer) } } };
  }
  const { description, types, headers = {} } = answer;
  const content = Object.fromEntries(types.map((type) => [type, { schema: schemas.of(wireBytes) }]));
  const named = Object.entries(headers).map(([name, text]) => [
    name,
    { schema: { type: 'string' }, description: text },
  ]);
  return {
    description,
    ...(types.length > 0 && { content }),
    ...(named.length > 0 && { headers: Object.fromEntries(named) }),
  };
}

/** Also a GET can have a body, which is read within limits and ignored. */
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

/** By the parameter of a path that names nothing. */
const NOT_FOUND: Readonly<Record<PathParameter, WireErrorCode>> = {
  id: 'dataset_not_found',
  filename: 'file_not_found',
  number: 'revision_not_found',
  token_id: 'token_not_found',
  share_id: 'token_not_found',
  webhook_id: 'webhook_not_found',
  delivery_id: 'delivery_not_found',
  group: 'group_not_found',
  endpoint: 'caption_endpoint_not_found',
  preset: 'caption_preset_not_found',
  run_id: 'caption_run_not_found',
};

function errorsOf(row: Route): Set<WireErrorCode> {
  const { at, link, query, body, bodyType, errors = [] } = row;
  const isGet = at.startsWith('GET ');
  const codes: WireErrorCode[] = [...ERRORS_OF_ANY_REQUEST, ...errors];
  if (hasBasePath(row)) {
    // A share may call few routes.
    codes.push('unauthorized', 'too_many_requests', 'not_allowed');
    if (link !== undefined) codes.push('link_invalid', 'link_expired', 'link_withdrawn');
    // A PUT makes what the end of its path names.
    for (const [, parameter] of at.replace(/^PUT (.*)\/:\w+$/, '$1').matchAll(/:(\w+)/g))
      codes.push(NOT_FOUND[parameter as PathParameter]);
  }
  if (!isGet) codes.push('no_space');
  // JSON is parsed also without a schema.
  const takesJson = !isGet && bodyType === undefined;
  if (takesJson) codes.push('unsupported_body', 'malformed_body');
  if (query !== undefined || at.includes(':number') || (takesJson && body !== undefined)) codes.push('invalid_field');
  return new Set(codes);
}

function errorAnswers(codes: ReadonlySet<WireErrorCode>, schemas: Schemas): Record<number, object> {
  const byStatus = new Map<number, WireErrorCode[]>();
  for (const code of codes) {
    const status = Math.floor(ERROR_NUMBERS[code] / 1000);
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries([...byStatus].map(([status, names]) => [status, errorAnswer(status, names, schemas)]));
}

const RETRY = { 'Retry-After': { schema: { type: 'string' }, description: 'Seconds to wait before the next try.' } };
const HEADERS_OF_STATUS: Record<number, object> = {
  401: { 'WWW-Authenticate': { schema: { type: 'string' }, description: 'Always `Bearer`.' } },
  416: { 'Content-Range': { schema: { type: 'string' }, description: 'The size of the file: `bytes */1234`.' } },
  429: RETRY,
  503: RETRY,
};

function errorAnswer(status: number, codes: readonly WireErrorCode[], schemas: Schemas): object {
  const numbers = { properties: { error_code: { enum: codes.map((code) => ERROR_NUMBERS[code]) } } };
  return {
    description: codes.map((code) => `${ERROR_NUMBERS[code]} \`${code}\``).join(', '),
    content: { 'application/json': { schema: { allOf: [schemas.of(wireErrorBody), numbers] } } },
    ...(HEADERS_OF_STATUS[status] && { headers: HEADERS_OF_STATUS[status] }),
  };
}
