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
    description: 'Send it with the other parameters of the query that `download-link` or `tar-link` returns.',
  },
};

type Schemas = Readonly<Record<string, unknown>>;

/** Converts schemas together, so that those with an id become components. */
class Components {
  readonly #schemas: z.ZodType[] = [];

  /** `fill` replaces the placeholder. */
  add(schema: z.ZodType): { placeholder: number } {
    return { placeholder: this.#schemas.push(schema) - 1 };
  }

  fill(document: object): object {
    const all = z.object(Object.fromEntries(this.#schemas.map((schema, i) => [i, schema])));
    const jsonOf = (io: 'input' | 'output') => {
      const { properties = {}, $defs = {} } = z.toJSONSchema(all, { io, unrepresentable: 'any' });
      return { properties, $defs };
    };
    const [sent, answered] = [jsonOf('input'), jsonOf('output')];
    const replaced = (value: unknown, properties: Schemas): unknown => {
      if (typeof value !== 'object' || value === null) return value;
      if ('placeholder' in value) return properties[String(value.placeholder)];
      if (Array.isArray(value)) return value.map((item) => replaced(item, properties));
      const isRequest = (key: string) => key === 'parameters' || key === 'requestBody';
      const filled = ([key, item]: [string, unknown]) => [
        key,
        replaced(item, isRequest(key) ? sent.properties : properties),
      ];
      return Object.fromEntries(Object.entries(value).map(filled));
    };
    const components = { securitySchemes: SECURITY_SCHEMES, schemas: { ...sent.$defs, ...answered.$defs } };
    const whole = JSON.stringify({ ...(replaced(document, answered.properties) as object), components });
    return JSON.parse(whole.replaceAll('"#/$defs/', '"#/components/schemas/'));
  }
}

/** @param publicUrl for clients */
export function openApiOf({ version, publicUrl }: { version: string; publicUrl: string | undefined }): object {
  const components = new Components();
  const paths: Record<string, Record<string, object>> = {};
  for (const [name, row] of Object.entries(ROUTES) as [string, Route][]) {
    const [method = '', path = ''] = row.at.split(' ');
    const url = `${hasBasePath(row) ? BASE_PATH : ''}${path}`.replaceAll(/:(\w+)/g, '{$1}');
    paths[url] = { ...paths[url], [method.toLowerCase()]: operationOf(name, row, components) };
  }
  return components.fill({
    openapi: '3.1.0',
    info: { title: 'trainyard', version, description: DESCRIPTION },
    servers: [{ url: publicUrl ?? '/' }],
    paths,
  });
}

function operationOf(name: string, row: Route, components: Components): object {
  const [word = ''] = name.split('.');
  const { body, bodyType = 'application/json', answer, otherAnswers = {} } = row;
  const answers = Object.entries({ 200: answer, ...otherAnswers }).map(([status, each]) => {
    return [status, answerOf(each, components)];
  });
  return {
    tags: [TAGS[word] ?? word],
    summary: row.summary,
    ...(hasBasePath(row) && { security: [{ token: [] }, ...(row.link === undefined ? [] : [{ link: [] }])] }),
    parameters: parametersOf(row, components),
    ...(body !== undefined && {
      requestBody: {
        required: !body.safeParse(undefined).success || body === wireBytes,
        content: { [bodyType]: { schema: components.add(body) } },
      },
    }),
    responses: { ...Object.fromEntries(answers), ...errorAnswers(errorsOf(row), components) },
  };
}

function parametersOf({ at, query, headers = {} }: Route, components: Components): object[] {
  const inSchema = (place: string, { shape }: z.ZodObject) =>
    Object.entries(shape as Record<string, z.ZodType>).map(([name, schema]) => ({
      ...{ in: place, name, required: place === 'path' || !schema.safeParse(undefined).success },
      ...(schema.description && { description: schema.description }),
      schema: components.add(schema),
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

function answerOf(answer: z.ZodType | BytesAnswer, components: Components): object {
  if (answer instanceof z.ZodType) {
    return { description: 'OK', content: { 'application/json': { schema: components.add(answer) } } };
  }
  const { description, types, headers = {} } = answer;
  const content = Object.fromEntries(types.map((type) => [type, { schema: components.add(wireBytes) }]));
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

function errorAnswers(codes: ReadonlySet<WireErrorCode>, components: Components): Record<number, object> {
  const byStatus = new Map<number, WireErrorCode[]>();
  for (const code of codes) {
    const status = Math.floor(ERROR_NUMBERS[code] / 1000);
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries([...byStatus].map(([status, names]) => [status, errorAnswer(status, names, components)]));
}

const RETRY = { 'Retry-After': { schema: { type: 'string' }, description: 'Seconds to wait before the next try.' } };
const HEADERS_OF_STATUS: Record<number, object> = {
  401: { 'WWW-Authenticate': { schema: { type: 'string' }, description: 'Always `Bearer`.' } },
  416: { 'Content-Range': { schema: { type: 'string' }, description: 'The size of the file: `bytes */1234`.' } },
  429: RETRY,
  503: RETRY,
};

function errorAnswer(status: number, codes: readonly WireErrorCode[], components: Components): object {
  const numbers = { properties: { error_code: { enum: codes.map((code) => ERROR_NUMBERS[code]) } } };
  return {
    description: codes.map((code) => `${ERROR_NUMBERS[code]} \`${code}\``).join(', '),
    content: { 'application/json': { schema: { allOf: [components.add(wireErrorBody), numbers] } } },
    ...(HEADERS_OF_STATUS[status] && { headers: HEADERS_OF_STATUS[status] }),
  };
}
