import { Ajv2020 } from 'ajv/dist/2020.js';
import type { OpenAPIV3_1 } from 'openapi-types';

/** JSON Schema 2020-12, as far as the document uses it. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

export interface Parameter {
  readonly in: 'path' | 'query' | 'header';
  readonly name: string;
  readonly required: boolean;
  readonly schema: Schema;
}

interface DeclaredAnswer {
  readonly headers?: Record<string, object>;
  readonly content?: Record<string, { schema: Schema }>;
}

/** One method of one path. */
export interface Operation {
  /** As in `GET /healthz`. */
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly body?: { readonly required: boolean; readonly contentType: string; readonly schema: Schema };
  readonly acceptsToken: boolean;
  readonly acceptsLink: boolean;
  readonly answers: Readonly<Record<string, DeclaredAnswer>>;
}

/** What a server sent. */
export interface ReceivedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

const JSON_TYPE = 'application/json';
const DOCUMENT_ID = 'openapi.json';

/** The OpenAPI document of a running server. */
export class ApiDocument {
  readonly operations: readonly Operation[];
  readonly #document: OpenAPIV3_1.Document;
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false });

  constructor(document: OpenAPIV3_1.Document) {
    this.#document = document;
    this.#ajv.addSchema(document, DOCUMENT_ID);
    this.operations = Object.entries(document.paths ?? {}).flatMap(([path, methods]) =>
      Object.entries(methods ?? {}).map(([method, declared]) => operationOf(method, path, declared as never)),
    );
  }

  /** @param url the base URL of the server */
  static async of(url: string): Promise<ApiDocument> {
    const response = await fetch(`${url}/openapi.json`);
    return new ApiDocument((await response.json()) as OpenAPIV3_1.Document);
  }

  /** Follows a `$ref` to a component. */
  resolve(schema: Schema): Schema {
    const name = schema.$ref?.replace('#/components/schemas/', '');
    return name === undefined ? schema : (this.#document.components?.schemas?.[name] as Schema);
  }

  /** Whether a value fits a schema of the document. */
  accepts(schema: Schema, value: unknown): boolean {
    const copy = JSON.parse(JSON.stringify(schema).replaceAll('"#/', `"${DOCUMENT_ID}#/`));
    return this.#ajv.validate(copy, value);
  }

  /** What an answer has that the document does not declare; `undefined` if there is nothing. */
  faultOf({ method, path, answers }: Operation, { status, headers, body }: ReceivedAnswer): string | undefined {
    const declared = answers[status];
    if (declared === undefined) return `the status ${status} is not declared`;
    // A zip whose length is not known beforehand (`as=metadata`) has no ETag.
    const expected = headers['transfer-encoding'] === undefined ? Object.keys(declared.headers ?? {}) : [];
    const missing = expected.find((name) => headers[name.toLowerCase()] === undefined);
    if (missing !== undefined) return `the header ${missing} is missing`;
    if (declared.content === undefined) return body.length > 0 ? 'it has a body, and none is declared' : undefined;
    const contentType = headers['content-type'] ?? '';
    const type = Object.keys(declared.content).find((name) => name === contentType || name === essenceOf(contentType));
    if (type === undefined) return `the content type ${contentType} is not declared`;
    if (type !== JSON_TYPE) return undefined;
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    const pointer = ['paths', path, method.toLowerCase(), 'responses', status, 'content', type, 'schema'];
    const validate = this.#ajv.getSchema(`${DOCUMENT_ID}#/${pointer.map(escapePointer).join('/')}`);
    if (validate?.(JSON.parse(text))) return undefined;
    return `the body is not as declared: ${this.#ajv.errorsText(validate?.errors)}`;
  }
}

function operationOf(method: string, path: string, declared: OpenAPIV3_1.OperationObject): Operation {
  const { requestBody, parameters = [], security = [], responses } = declared;
  const [contentType, media] = Object.entries((requestBody as OpenAPIV3_1.RequestBodyObject)?.content ?? {})[0] ?? [];
  return {
    name: `${method.toUpperCase()} ${path}`,
    method: method.toUpperCase(),
    path,
    parameters: parameters as Parameter[],
    ...(contentType !== undefined && {
      body: {
        required: (requestBody as OpenAPIV3_1.RequestBodyObject).required === true,
        contentType,
        schema: media?.schema as Schema,
      },
    }),
    acceptsToken: security.some((scheme) => 'token' in scheme),
    acceptsLink: security.some((scheme) => 'link' in scheme),
    answers: responses as Record<string, DeclaredAnswer>,
  };
}

/** The content type without its parameters. */
function essenceOf(contentType: string): string {
  return contentType.split(';', 1)[0]?.trim() ?? '';
}

/** A part of a JSON pointer in a URL (RFC 6901, section 6). */
function escapePointer(part: string | number): string {
  return encodeURIComponent(String(part).replaceAll('~', '~0').replaceAll('/', '~1'));
}
