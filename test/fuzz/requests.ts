import fc from 'fast-check';
import type { ApiDocument, Operation, Parameter, Schema } from './document.js';
import { hostileFilename, hostileNumeral, hostileText } from './hostile-values.js';
import { hostileJsonBodies, jsonBodies, type KnownValues, valuesOf } from './json-bodies.js';
import { type Form, forms, hostileForms } from './multipart-bodies.js';

type Headers = readonly (readonly [string, string])[];
type Pairs = readonly string[];
interface Credentials {
  readonly headers: Headers;
  readonly query: Pairs;
}
interface Content {
  readonly headers: Headers;
  readonly body: Buffer | undefined;
}

/** A part of a request: values that the server accepts, and others. */
interface Part<T> {
  readonly valid: fc.Arbitrary<T>;
  readonly hostile: fc.Arbitrary<T>;
}

/** Filenames in the fixture: a picture, its caption, a rejected upload, a pending one, and one that is not there. */
const filename = fc.constantFrom('a.jpg', 'a.jpg', 'a.jpg', 'a.txt', 'bad.jpg', 'pending.txt', 'none.txt');
const stored = fc.constantFrom('a.jpg', 'a.txt');

const KNOWN: KnownValues = {
  filename,
  filenames: fc.oneof({ weight: 8, arbitrary: stored }, filename, hostileFilename),
  add: stored,
  from: fc.constant('0'),
  to: fc.constant('1'),
  revision: fc.constant('1'),
  'trainyard-page': fc.constant('1'),
  name: fc.oneof(fc.constantFrom('__NAME__', 'a name'), fc.stringMatching(/^[a-z]{1,9}$/)),
  after: fc.constantFrom('', 'a.jpg', 'z'),
  cursor: fc.constant('__CURSOR__'),
  sha256: fc.constant('__SHA256__'),
  webhook_id: fc.constant('__WEBHOOK_ID__'),
  delivery_id: fc.constant('__DELIVERY_ID__'),
  token_id: fc.constant('__TOKEN_ID__'),
  share_id: fc.constant('__SHARE_ID__'),
  control_1: fc.constant('__CONTROL_ID__'),
  group: fc.constant('g'),
  number: fc.constant('1'),
  run_id: fc.constant('none'),
  endpoint: fc.constantFrom('local', 'none'),
  preset: fc.constantFrom('tags', 'mine', 'none'),
  url: fc.constant('http://127.0.0.1:9/'),
  size: fc.constant('5'),
  expires: fc.constant('__LINK_EXPIRES__'),
  signature: fc.constant('__LINK_SIGNATURE__'),
  range: fc.constantFrom('bytes=0-9', 'bytes=-5', 'bytes=5-', 'bytes=0-0,2-3'),
  'if-range': fc.constant('"__SHA256__"'),
  'if-match': fc.constantFrom('"__SHA256__"', '*', '"other"'),
  ifMatch: fc.constantFrom('"__SHA256__"', '*', '"other"'),
  'if-none-match': fc.constantFrom('"__SHA256__"', 'W/"__SHA256__"', '*', '"other"'),
};

const files = fc.oneof(
  fc.record({
    filename: fc.constantFrom('b.txt', 'a.txt', 'c.txt', '\u00fc.txt'),
    content: fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
  }),
  fc.record({
    filename: fc.constantFrom('b.jpg', 'a.jpg', 'c.png'),
    content: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.concat([Buffer.from([0xff, 0xd8, 0xff]), bytes])),
  }),
);

function methodOf({ method }: Operation): Part<string> {
  const others = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND');
  return {
    valid: method === 'GET' ? fc.constantFrom('GET', 'GET', 'GET', 'HEAD') : fc.constant(method),
    hostile: others,
  };
}

/** The parameters in the path, encoded. */
function pathOf({ parameters, acceptsToken }: Operation): Part<Record<string, string>> {
  const id = fc.constant(acceptsToken ? '__ID__' : '__LINK_ID__');
  const names = parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name);
  const record = (values: (name: string) => fc.Arbitrary<string>) =>
    fc.record(Object.fromEntries(names.map((name) => [name, values(name)])));
  return {
    valid: record((name) => (name === 'id' ? id : (KNOWN[name] ?? fc.constant('x')))),
    hostile: record((name) => {
      const text = name === 'id' ? hostileText : hostileFilename;
      const otherIds = fc.constantFrom('__OTHER_ID__', '__DELETED_ID__', '__LINK_ID__', 'events', '__ID__');
      return fc.oneof(
        { weight: 3, arbitrary: text.chain(spellings) },
        { weight: 1, arbitrary: name === 'id' ? otherIds : filename },
      );
    }),
  };
}

function queryOf(parameters: readonly Parameter[], document: ApiDocument): Part<Pairs> {
  const declared = parameters.filter((parameter) => parameter.in === 'query');
  // A link needs all of its parts.
  const isLink = declared.some(({ name }) => name === 'signature');
  // A state is named by its revision or its digest.
  const named = declared.filter(({ name }) => name !== 'digest');
  const valid = named.map(({ name, schema, required }) => {
    const given = valuesOf(schema, document, KNOWN, name).map((value) => `${name}=${percentEncode(String(value))}`);
    return required || isLink ? given : fc.option(given, { nil: undefined, freq: 2 });
  });
  const others = ['token', 'signature', 'account', 'expires', '__proto__', 'constructor', '_method'];
  const names = fc.oneof(
    fc.constantFrom(...declared.map(({ name }) => name), ...others),
    hostileText.map(percentEncode),
  );
  const pair = fc.tuple(
    names,
    fc.oneof(hostileText, hostileNumeral, fc.constantFrom('READY', 'image')).chain(spellings),
  );
  return {
    valid: fc.tuple(...valid).map((all) => all.filter((pair) => pair !== undefined)),
    hostile: fc.array(
      pair.map(([name, value]) => `${name}${name.length % 2 ? '=' : '[]='.slice(name.length % 4)}${value}`),
      { minLength: 1, maxLength: 4 },
    ),
  };
}

/** Headers that the document declares, and others that a client or a proxy may send. */
function headersOf(parameters: readonly Parameter[]): Part<Headers> {
  const declared = parameters.filter((parameter) => parameter.in === 'header').map(({ name }) => name);
  const others =
    'accept accept-encoding cookie origin if-match range if-none-match host x-forwarded-host x-http-method-override';
  const names = [...declared, ...others.split(' ')];
  const ranges = 'bytes=0- bytes=9-5 bytes=-0 bytes=99999999999999999999- bytes=0-1,5-6,-1 bytes= items=0-5 * W/"x"';
  const printable = (text: string) =>
    Buffer.from(text)
      .toString('latin1')
      .replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '');
  const value = fc.oneof(
    hostileText.map(printable),
    fc.constantFrom(...ranges.split(' '), 'gzip', 'localhost', 'evil.example:99999', '[::1', 'a b', 'DELETE'),
  );
  const valid = declared.map((name) => (KNOWN[name] ?? fc.constant('x')).map((text) => [name, text] as const));
  return {
    valid: fc.oneof(
      { weight: 2, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.tuple(...valid).chain((all) => fc.subarray(all)) },
    ),
    hostile: fc.array(fc.tuple(fc.constantFrom(...names), value), { minLength: 1, maxLength: 4 }),
  };
}

function credentialsOf({ acceptsToken, acceptsLink }: Operation): Part<Credentials> {
  const bearer = (token: string): Credentials => ({ headers: [['authorization', `Bearer ${token}`]], query: [] });
  const none: Credentials = { headers: [], query: [] };
  const link = ['account=__ACCOUNT__', 'expires=__READ_EXPIRES__', 'signature=__READ_SIGNATURE__'];
  const tokens = acceptsToken
    ? [bearer('__TOKEN__'), bearer('__TOKEN__'), ...(acceptsLink ? [{ headers: [], query: link }] : [])]
    : [none];
  const bad = ['', '__TOKEN__x', '__REVOKED_TOKEN__', '__OTHER_TOKEN__', 'ty_', 'null', `ty_${'x'.repeat(10_000)}`];
  const schemes = ['Basic __TOKEN__', '__TOKEN__', 'bearer  __TOKEN__ ', 'Bearer', 'Bearer a b'];
  return {
    valid: fc.constantFrom(...tokens),
    hostile: fc.oneof(
      fc.constantFrom(none, ...bad.map(bearer)),
      fc
        .constantFrom(...schemes, 'Bearer __TOKEN__, Bearer x')
        .map((value) => ({ headers: [['authorization', value] as const], query: [] })),
      fc
        .shuffledSubarray([...link, 'signature=x', 'expires=1', 'account=', 'signature=', 'expires=1e99', 'size=5'])
        .map((query) => ({ headers: [], query })),
    ),
  };
}

/** Bodies whose parts fit each other and the fixture, by the end of the operation's name. */
const FITTING: Readonly<Record<string, object>> = {
  'POST captions': { filenames: ['a.txt'] },
  'PUT captions': { captions: [{ filename: 'a.txt', text: 'a blue wagon' }] },
  'POST get-upload-endpoint': { filenameToByteSize: { 'c.txt': 5 } },
};

function contentOf({ body, path, method, acceptsToken }: Operation, document: ApiDocument): Part<Content> {
  const withType = (type: string | undefined, bytes: Buffer): Content => ({
    headers: type === undefined ? [] : [['content-type', type]],
    body: bytes,
  });
  const none: Content = { headers: [], body: undefined };
  const types = fc.constantFrom(
    ...['application/json; charset=utf-8', 'application/problem+json', 'application/json;', 'text/plain', 'text/json'],
    ...['application/xml', '', ';', 'application/x-www-form-urlencoded', 'multipart/form-data', '/', '*/*'],
    ...['application/json, text/plain', 'a'.repeat(9000)],
  );
  const schema: Schema = body?.schema ?? {};
  const fitting = FITTING[`${method} ${path.split('/').at(-1)}`];
  const generated = valuesOf(schema, document, KNOWN);
  const valid = fitting === undefined ? generated : fc.oneof(generated, fc.constant(fitting));
  const ofForm = ({ contentType, body: bytes }: Form) => withType(contentType, bytes);
  const other = fc.tuple(
    fc.option(types, { nil: undefined }),
    fc.oneof(jsonBodies(valid), fc.constant(Buffer.from('hello'))),
  );
  const others = fc.oneof(
    fc.constant(none),
    other.map(([type, bytes]) => withType(type, bytes)),
  );
  if (method === 'PUT' && !acceptsToken) {
    const lengths = fc
      .constantFrom('hello', '', 'hell', 'hello!', 'x'.repeat(100_000))
      .map((text) => withType(undefined, Buffer.from(text)));
    return { valid: fc.constant(withType(undefined, Buffer.from('hello'))), hostile: fc.oneof(lengths, others) };
  }
  if (body?.contentType === 'multipart/form-data') {
    return {
      valid: forms(files).map(ofForm),
      hostile: fc.oneof({ weight: 4, arbitrary: hostileForms(files).map(ofForm) }, { weight: 1, arbitrary: others }),
    };
  }
  const json = 'application/json';
  const hostile = fc.oneof(
    { weight: 3, arbitrary: hostileJsonBodies(valid).map((bytes) => withType(json, bytes)) },
    { weight: 1, arbitrary: others },
  );
  return {
    valid: body === undefined ? fc.constant(none) : jsonBodies(valid).map((bytes) => withType(json, bytes)),
    hostile,
  };
}

/** The spellings of a text in a URL: encoded, encoded twice, or as it is where HTTP can carry it. */
function spellings(text: string): fc.Arbitrary<string> {
  const raw = text.replaceAll(/[^\x21-\x7e]/gu, (character) => percentEncode(character));
  return fc.constantFrom(percentEncode(text), percentEncode(text), percentEncode(percentEncode(text)), raw);
}

/** As `encodeURIComponent`, which throws for lone surrogates: here they are encoded as if they were characters. */
function percentEncode(text: string): string {
  return text.replaceAll(/./gsu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0xd800 || code > 0xdfff) return encodeURIComponent(character);
    return [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63)]
      .map((byte) => `%${byte.toString(16)}`)
      .join('');
  });
}

/** A request in which names such as `__TOKEN__` stand for values that differ from server to server (`fuzz-requests.ts`). */
export interface FuzzRequest {
  readonly method: string;
  /** The request target, with its query. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: Buffer | undefined;
}

/** Requests of an operation: valid ones, ones with a hostile part, and ones in which any part may be hostile. */
export function requestsOf(
  operation: Operation,
  document: ApiDocument,
  { isValid = false } = {},
): fc.Arbitrary<FuzzRequest> {
  const { path, parameters } = operation;
  const parts = [
    methodOf(operation),
    pathOf(operation),
    queryOf(parameters, document),
    headersOf(parameters),
    credentialsOf(operation),
    contentOf(operation, document),
  ] as const;
  const choices = parts.map(({ valid, hostile }) =>
    fc.record<{ valid: unknown; hostile: unknown }>({ valid, hostile }),
  );
  const all = 2 ** parts.length - 1;
  // A bit is set for each hostile part.
  const mask = fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    { weight: 4, arbitrary: fc.constantFrom(...parts.map((_, index) => 2 ** index)) },
    { weight: 2, arbitrary: fc.nat(all) },
  );
  return fc.tuple(isValid ? fc.constant(0) : mask, fc.tuple(...choices)).map(([hostile, chosen]) => {
    const values = chosen.map((choice, index) => (hostile & (2 ** index) ? choice.hostile : choice.valid));
    type Chosen = [string, Record<string, string>, Pairs, Headers, Credentials, Content];
    const [method, filled, query, headers, credentials, content] = values as Chosen;
    const target = path.replaceAll(/\{(\w+)\}/g, (_, name) => filled[name] ?? '');
    const pairs = [...query, ...credentials.query];
    return {
      method,
      path: pairs.length === 0 ? target : `${target}?${pairs.join('&')}`,
      headers: [...credentials.headers, ...headers, ...content.headers],
      body: content.body,
    };
  });
}
