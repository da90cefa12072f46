/** What a case may use: the paths of a server, and the header of a token. */
export interface Target {
  readonly host: string;
  /** The dataset's URL path. */
  readonly dataset: string;
  readonly datasets: string;
  /** The path and query of an upload link for `CONTENT`. */
  readonly link: string;
  /** A header line. */
  readonly token: string;
}

/** A file that is accepted. */
export const CONTENT = 'a red wagon';

/**
 * What a client sends on one connection, and the statuses of the answers. Of strings, which are sent as Latin-1, one character
 * is one byte. After its last answer, the server closes the connection if the end is `closed`; with `half-closed` it has been
 * closed by the client for sending.
 */
export type Case = readonly [
  name: string,
  bytes: string | ((target: Target) => string),
  statuses: number | readonly number[],
  end?: 'closed' | 'half-closed',
];

const GET = (headers: string, { target = '/healthz', version = 'HTTP/1.1' } = {}) =>
  `GET ${target} ${version}\r\n${headers}\r\n`;
const HOST = 'Host: yard\r\n';

/** A POST that creates a dataset. */
const post = (headers: string, body: string) => (target: Target) =>
  `POST ${target.datasets} HTTP/1.1\r\n${HOST}${target.token}${headers}\r\n${body}`;
const chunked = (body: string) => post('Transfer-Encoding: chunked\r\n', body);

/** A direct upload with this body. */
const upload =
  (body: string, { type = 'multipart/form-data; boundary=B', length = body.length } = {}) =>
  (target: Target) =>
    `POST ${target.dataset}/upload HTTP/1.1\r\n${HOST}${target.token}Content-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n${body}`;
const part = (headers: string, content = CONTENT) => `--B\r\n${headers}\r\n\r\n${content}\r\n`;
const filePart = (filename: string) => part(`Content-Disposition: form-data; name="file"; filename="${filename}"`);
const END = '--B--\r\n';

export const FRAMING: readonly Case[] = [
  ['no Host', GET(''), 400],
  ['two Hosts', GET('Host: a\r\nHost: b\r\n'), 400],
  ['HTTP/0.9', 'GET /healthz\r\n\r\n', 200, 'closed'],
  ['OPTIONS of everything', `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, 404],
  ['a body that was expected', post('Expect: 100-continue\r\nContent-Length: 2\r\n', '{}'), [100, 200]],
  ['line feeds alone', 'GET /healthz HTTP/1.1\nHost: a\n\n', 400, 'closed'],
  ['a folded header', GET(`${HOST}X: a\r\n b\r\n`), 400, 'closed'],
  ['a space before the colon', GET(`${HOST}X : a\r\n`), 400, 'closed'],
  ['a header of 20 kB', GET(`${HOST}X: ${'a'.repeat(20_000)}\r\n`), 431, 'closed'],
  ['a URL of 20 kB', GET(HOST, { target: `/${'a'.repeat(20_000)}` }), 431, 'closed'],
  ['an unfinished request', 'GET /healthz HT', 400, 'half-closed'],
  ['garbage after a request', `${GET(HOST)}BAD\r\n\r\n`, 400, 'closed'],
];

export const BODIES: readonly Case[] = [
  ['two lengths', post('Content-Length: 2\r\nContent-Length: 3\r\n', '{}'), 400, 'closed'],
  ['a negative length', post('Content-Length: -1\r\n', ''), 400, 'closed'],
  ['a length and chunks', post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), 400, 'closed'],
  ...['gzip', 'identity', 'xchunked', 'chunked, gzip', 'chunked, chunked', 'chunked;q=1', 'gzip, chunked'].map(
    (coding): Case => [
      `the transfer encoding ${coding}`,
      post(`Transfer-Encoding: ${coding}\r\n`, '2\r\n{}\r\n0\r\n\r\n'),
      400,
      'closed',
    ],
  ),
  ['chunks', chunked('1\r\n{\r\n1\r\n}\r\n0\r\n\r\n'), 200],
  ['chunks with trailers', chunked('2\r\n{}\r\n0\r\nX: y\r\n\r\n'), 200],
  ['a chunk size that is no number', chunked('zz\r\n{}\r\n0\r\n\r\n'), 400, 'closed'],
  ['a chunk longer than its size', chunked('2\r\n{}xx\r\n0\r\n\r\n'), 400, 'closed'],
  ['a chunk extension of 20 kB', chunked(`2;a=${'b'.repeat(20_000)}\r\n{}`), 413, 'closed'],
  ['a trailer of 40 kB', chunked(`2\r\n{}\r\n0\r\nX: ${'y'.repeat(40_000)}\r\n\r\n`), 431, 'closed'],
  ['chunks without an end', chunked('2\r\n{}\r\n'), 400, 'half-closed'],
  ['a request hidden in a body', post(`Content-Length: ${GET(HOST).length}\r\n`, GET(HOST)), 422],
  ['a GET with a body', `${GET(`${HOST}Content-Length: 5\r\n`)}hello${GET(HOST)}`, [200, 200]],
  ['a GET with a body of 50 MB', GET(`${HOST}Content-Length: 50000000\r\n`), 413],
  ['JSON that is not UTF-8', post('Content-Length: 12\r\n', '{"name":"\xff"}'), 422],
  ['JSON with a prototype', post('Content-Length: 22\r\n', '{"__proto__":{"a":1}} '), 200],
  ['a PUT without a length', ({ link }) => `PUT ${link} HTTP/1.1\r\n${HOST}\r\n`, 411],
  [
    'a PUT in chunks',
    ({ link }) => `PUT ${link} HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`,
    411,
  ],
];

export const URLS: readonly Case[] = [
  ...['%zz', '%c0%af', '%00', '..%2f..%2fetc', '__proto__', '%F0%9F%9A%82'].map(
    (id, i): Case => [
      `the id ${id}`,
      ({ datasets, token }) => GET(HOST + token, { target: `${datasets}/${id}/status` }),
      i < 2 ? 400 : 404,
    ],
  ),
  ['a Host that is none', ({ dataset, token }) => `POST ${dataset}/shares HTTP/1.1\r\nHost: [\r\n${token}\r\n`, 422],
  ['a whole URL', GET(HOST, { target: 'http://other/healthz' }), 200],
  ['bytes beyond ASCII in a URL', GET(HOST, { target: '/\xc3\xa9' }), 400, 'closed'],
  [
    'a parameter given twice',
    ({ datasets, token }) => GET(HOST + token, { target: `${datasets}?limit=1&limit=2` }),
    422,
  ],
];

/** `npm run fuzz` generates further forms. */
export const FORMS: readonly Case[] = [
  ['a file', upload(filePart('a.txt') + END), 200],
  ['a field before its file', upload(part('Content-Disposition: form-data; name="x"') + filePart('a.txt') + END), 200],
  ['names without quotes', upload(part('Content-Disposition: form-data; filename=a.txt; name=file') + END), 200],
  ['a preamble and an epilogue', upload(`once\r\n${filePart('a.txt')}${END}${'upon '.repeat(1000)}`), 200],
  ['two files', upload(filePart('a.txt') + filePart('b.txt') + END), 422],
  ['no end', upload(filePart('a.txt')), 422],
  ['no boundary', upload(filePart('a.txt') + END, { type: 'multipart/form-data' }), 422],
  ['another type', upload(filePart('a.txt') + END, { type: 'multipart/mixed; boundary=B' }), 415],
  ['another field', upload(part('Content-Disposition: form-data; name="other"; filename="a.txt"') + END), 422],
  ['line feeds alone in a form', upload((filePart('a.txt') + END).replaceAll('\r', '')), 422],
  ['a part header of 100 kB', upload(part(`X: ${'y'.repeat(100_000)}`) + END), 422],
  ['a part header without an end', upload(`--B\r\n${'X: y\r\n'.repeat(50_000)}`), 422],
  ...['a\0.txt', 'a%0D%0A.txt', 'a\xe2\x80\xaeb.txt', '../a.txt', `${'a'.repeat(252)}.txt`].map(
    (name): Case => [`the filename ${JSON.stringify(name.slice(0, 20))}`, upload(filePart(name) + END), 422],
  ),
  [
    'a form in chunks',
    ({ dataset, token }) => {
      const head = `POST ${dataset}/upload HTTP/1.1\r\n${HOST}${token}Content-Type: multipart/form-data; boundary=B\r\n`;
      const chunks = (filePart('a.txt') + END).split('').map((byte) => `1\r\n${byte}\r\n`);
      return `${head}Transfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n\r\n`;
    },
    200,
  ],
  ['a form that ends early', upload(filePart('a.txt') + END, { length: 4000 }), 400, 'half-closed'],
  ['a form longer than its length', upload(filePart('a.txt') + END, { length: 60 }), 400, 'closed'],
];
