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
 * Bytes that a client sends on one connection, and the statuses of the answers. Strings are sent as Latin-1: one character is
 * one byte.
 */
export interface Case {
  readonly name: string;
  readonly bytes: (target: Target) => string;
  readonly statuses: readonly number[];
  /** The client closes its sending side after its last byte. Without it, it waits for the answers. */
  readonly isHalfClosed?: boolean;
  /** The server closes the connection after its last answer. */
  readonly isClosed?: boolean;
}

const GET = (headers: string, { target = '/healthz', version = 'HTTP/1.1' } = {}) =>
  `GET ${target} ${version}\r\n${headers}\r\n`;
const HOST = 'Host: yard\r\n';

/** A POST that creates a dataset. */
const post = (headers: string, body: string) => (target: Target) =>
  `POST ${target.datasets} HTTP/1.1\r\n${HOST}${target.token}${headers}\r\n${body}`;
const chunked = (body: string) => post('Transfer-Encoding: chunked\r\n', body);

/** A direct upload with this body. */
const upload =
  (body: string, { type = 'multipart/form-data; boundary=B', length = body.length, headers = '' } = {}) =>
  (target: Target) =>
    `POST ${target.dataset}/upload HTTP/1.1\r\n${HOST}${target.token}Content-Type: ${type}\r\n${headers}Content-Length: ${length}\r\n\r\n${body}`;
const part = (headers: string, content = CONTENT) => `--B\r\n${headers}\r\n\r\n${content}\r\n`;
const filePart = (filename: string) => part(`Content-Disposition: form-data; name="file"; filename="${filename}"`);
const END = '--B--\r\n';

export const FRAMING: readonly Case[] = [
  { name: 'no Host', bytes: () => GET(''), statuses: [400] },
  { name: 'two Hosts', bytes: () => GET('Host: a\r\nHost: b\r\n'), statuses: [400] },
  { name: 'no Host in HTTP/1.0', bytes: () => GET('', { version: 'HTTP/1.0' }), statuses: [200], isClosed: true },
  { name: 'HTTP/0.9', bytes: () => 'GET /healthz\r\n\r\n', statuses: [200], isClosed: true },
  { name: 'HTTP/1.2', bytes: () => GET(HOST, { version: 'HTTP/1.2' }), statuses: [400], isClosed: true },
  { name: 'the preface of HTTP/2', bytes: () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', statuses: [400], isClosed: true },
  { name: 'TLS', bytes: () => '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', statuses: [400], isClosed: true },
  { name: 'an unknown method', bytes: () => `BREW /healthz HTTP/1.1\r\n${HOST}\r\n`, statuses: [400], isClosed: true },
  { name: 'TRACE', bytes: () => `TRACE /healthz HTTP/1.1\r\n${HOST}\r\n`, statuses: [404] },
  { name: 'OPTIONS of everything', bytes: () => `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, statuses: [404] },
  { name: 'CONNECT', bytes: () => `CONNECT a:443 HTTP/1.1\r\n${HOST}\r\n`, statuses: [400], isClosed: true },
  { name: 'an upgrade', bytes: () => GET(`${HOST}Connection: upgrade\r\nUpgrade: websocket\r\n`), statuses: [200] },
  { name: 'a bogus expectation', bytes: () => GET(`${HOST}Expect: bogus\r\n`), statuses: [417] },
  {
    name: 'a bogus expectation of a body',
    bytes: post('Expect: 200-maybe\r\nContent-Length: 2\r\n', '{}'),
    statuses: [417],
  },
  {
    name: 'a body that was expected',
    bytes: post('Expect: 100-continue\r\nContent-Length: 2\r\n', '{}'),
    statuses: [100, 200],
  },
  { name: 'line feeds alone', bytes: () => 'GET /healthz HTTP/1.1\nHost: a\n\n', statuses: [400], isClosed: true },
  { name: 'a folded header', bytes: () => GET(`${HOST}X: a\r\n b\r\n`), statuses: [400], isClosed: true },
  { name: 'a zero byte in a header', bytes: () => GET(`${HOST}X: a\0b\r\n`), statuses: [400], isClosed: true },
  { name: 'a space before the colon', bytes: () => GET(`${HOST}X : a\r\n`), statuses: [400], isClosed: true },
  {
    name: 'a header of 20 kB',
    bytes: () => GET(`${HOST}X: ${'a'.repeat(20_000)}\r\n`),
    statuses: [431],
    isClosed: true,
  },
  {
    name: 'a header of 2 MB',
    bytes: () => GET(`${HOST}X: ${'a'.repeat(2_000_000)}\r\n`),
    statuses: [431],
    isClosed: true,
  },
  { name: 'thousands of headers', bytes: () => GET(HOST + 'X:\r\n'.repeat(5000)), statuses: [200] },
  {
    name: 'a URL of 20 kB',
    bytes: () => GET(HOST, { target: `/${'a'.repeat(20_000)}` }),
    statuses: [431],
    isClosed: true,
  },
  {
    name: 'an unfinished request',
    bytes: () => 'GET /healthz HT',
    statuses: [400],
    isHalfClosed: true,
    isClosed: true,
  },
  { name: 'two requests at once', bytes: () => GET(HOST) + GET(HOST), statuses: [200, 200] },
  { name: 'garbage after a request', bytes: () => `${GET(HOST)}BAD\r\n\r\n`, statuses: [200, 400], isClosed: true },
  {
    name: 'garbage after a request that waits',
    bytes: ({ dataset, token }) => `${GET(HOST + token, { target: `${dataset}/status?wait=0.3` })}BAD\r\n\r\n`,
    statuses: [200, 400],
    isClosed: true,
  },
];

export const BODIES: readonly Case[] = [
  {
    name: 'two lengths',
    bytes: post('Content-Length: 2\r\nContent-Length: 3\r\n', '{}'),
    statuses: [400],
    isClosed: true,
  },
  { name: 'a list of lengths', bytes: post('Content-Length: 2, 2\r\n', '{}'), statuses: [400], isClosed: true },
  { name: 'a length with a sign', bytes: post('Content-Length: +2\r\n', '{}'), statuses: [400], isClosed: true },
  { name: 'a negative length', bytes: post('Content-Length: -1\r\n', ''), statuses: [400], isClosed: true },
  {
    name: 'a length of 26 digits',
    bytes: post(`Content-Length: ${'9'.repeat(26)}\r\n`, ''),
    statuses: [400],
    isClosed: true,
  },
  {
    name: 'a length of 2 PB',
    bytes: post('Content-Length: 2000000000000000\r\n', '{}'),
    statuses: [413],
    isClosed: true,
  },
  {
    name: 'a length and chunks',
    bytes: post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    statuses: [400],
    isClosed: true,
  },
  ...['gzip', 'identity', 'xchunked', 'chunked, gzip', 'chunked, chunked', 'chunked;q=1', 'gzip, chunked'].map(
    (coding): Case => ({
      name: `the transfer encoding ${coding}`,
      bytes: post(`Transfer-Encoding: ${coding}\r\n`, '2\r\n{}\r\n0\r\n\r\n'),
      statuses: [400],
      isClosed: true,
    }),
  ),
  { name: 'chunks', bytes: chunked('1\r\n{\r\n1\r\n}\r\n0\r\n\r\n'), statuses: [200] },
  { name: 'chunks with extensions', bytes: chunked('2;a=b\r\n{}\r\n0\r\n\r\n'), statuses: [200] },
  { name: 'chunks with trailers', bytes: chunked('2\r\n{}\r\n0\r\nX: y\r\n\r\n'), statuses: [200] },
  { name: 'a chunk size that is no number', bytes: chunked('zz\r\n{}\r\n0\r\n\r\n'), statuses: [400], isClosed: true },
  { name: 'a negative chunk size', bytes: chunked('-2\r\n{}\r\n0\r\n\r\n'), statuses: [400], isClosed: true },
  { name: 'a chunk size with 0x', bytes: chunked('0x2\r\n{}\r\n0\r\n\r\n'), statuses: [400], isClosed: true },
  { name: 'a chunk size of 18 digits', bytes: chunked('ffffffffffffffffff\r\n{}'), statuses: [400], isClosed: true },
  { name: 'a chunk longer than its size', bytes: chunked('2\r\n{}xx\r\n0\r\n\r\n'), statuses: [400], isClosed: true },
  {
    name: 'a chunk extension of 20 kB',
    bytes: chunked(`2;a=${'b'.repeat(20_000)}\r\n{}`),
    statuses: [413],
    isClosed: true,
  },
  {
    name: 'a trailer of 40 kB',
    bytes: chunked(`2\r\n{}\r\n0\r\nX: ${'y'.repeat(40_000)}\r\n\r\n`),
    statuses: [431],
    isClosed: true,
  },
  { name: 'chunks without an end', bytes: chunked('2\r\n{}\r\n'), statuses: [400], isHalfClosed: true, isClosed: true },
  {
    name: 'a request hidden in a body',
    bytes: post(`Content-Length: ${GET(HOST).length}\r\n`, GET(HOST)),
    statuses: [422],
  },
  {
    name: 'a GET with a body',
    bytes: () => `${GET(`${HOST}Content-Length: 5\r\n`)}hello${GET(HOST)}`,
    statuses: [200, 200],
  },
  { name: 'a GET with a body of 50 MB', bytes: () => GET(`${HOST}Content-Length: 50000000\r\n`), statuses: [413] },
  {
    name: 'a body for no route',
    bytes: () => `POST /no HTTP/1.1\r\n${HOST}Content-Type: x/y\r\nContent-Length: 5\r\n\r\nhello`,
    statuses: [404],
  },
  {
    name: 'a content type that is none',
    bytes: post('Content-Type: @@@\r\nContent-Length: 2\r\n', '{}'),
    statuses: [415],
  },
  {
    name: 'JSON of another type',
    bytes: post('Content-Type: text/plain\r\nContent-Length: 2\r\n', '{}'),
    statuses: [415],
  },
  { name: 'JSON that is not UTF-8', bytes: post('Content-Length: 12\r\n', '{"name":"\xff"}'), statuses: [422] },
  { name: 'JSON with a prototype', bytes: post('Content-Length: 22\r\n', '{"__proto__":{"a":1}} '), statuses: [200] },
  { name: 'a PUT without a length', bytes: ({ link }) => `PUT ${link} HTTP/1.1\r\n${HOST}\r\n`, statuses: [411] },
  {
    name: 'a PUT in chunks',
    bytes: ({ link }) => `PUT ${link} HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`,
    statuses: [411],
  },
];

export const URLS: readonly Case[] = [
  ...['%', '%zz', '%ff', '%c0%af', '%ed%a0%80', '%u0041'].map(
    (id): Case => ({
      name: `the escape ${id} in a URL`,
      bytes: ({ datasets, token }) => GET(HOST + token, { target: `${datasets}/${id}/status` }),
      statuses: [400],
    }),
  ),
  ...['%00', '..%2f..%2fetc', '__proto__', 'a'.repeat(1000), '%F0%9F%9A%82'].map(
    (id): Case => ({
      name: `the id ${id.slice(0, 20)}`,
      bytes: ({ datasets, token }) => GET(HOST + token, { target: `${datasets}/${id}/status` }),
      statuses: [404],
    }),
  ),
  {
    name: 'an id of 2000 characters',
    bytes: ({ datasets, token }) => GET(HOST + token, { target: `${datasets}/${'a'.repeat(2000)}/status` }),
    statuses: [400],
  },
  { name: 'dots in a path', bytes: () => GET(HOST, { target: '/assets/../../../../etc/passwd' }), statuses: [404] },
  { name: 'a whole URL', bytes: () => GET(HOST, { target: 'http://other/healthz' }), statuses: [200] },
  {
    name: 'bytes beyond ASCII in a URL',
    bytes: () => GET(HOST, { target: '/\xc3\xa9' }),
    statuses: [400],
    isClosed: true,
  },
  { name: 'a space in a URL', bytes: () => GET(HOST, { target: '/a b' }), statuses: [400], isClosed: true },
  {
    name: 'a parameter given twice',
    bytes: ({ datasets, token }) => GET(HOST + token, { target: `${datasets}?limit=1&limit=2` }),
    statuses: [422],
  },
];

export const FORMS: readonly Case[] = [
  { name: 'a file', bytes: upload(filePart('a.txt') + END), statuses: [200] },
  {
    name: 'a field before its file',
    bytes: upload(part('Content-Disposition: form-data; name="x"') + filePart('a.txt') + END),
    statuses: [200],
  },
  {
    name: 'a preamble and an epilogue',
    bytes: upload(`once\r\n${filePart('a.txt')}${END}${'upon '.repeat(1000)}`),
    statuses: [200],
  },
  { name: 'a part after the end', bytes: upload(filePart('a.txt') + END + filePart('b.txt') + END), statuses: [200] },
  { name: 'two files', bytes: upload(filePart('a.txt') + filePart('b.txt') + END), statuses: [422] },
  { name: 'no end', bytes: upload(filePart('a.txt')), statuses: [422] },
  { name: 'no byte', bytes: upload(''), statuses: [422] },
  { name: 'an end alone', bytes: upload(END), statuses: [422] },
  { name: 'no boundary', bytes: upload(filePart('a.txt') + END, { type: 'multipart/form-data' }), statuses: [422] },
  {
    name: 'an empty boundary',
    bytes: upload(filePart('a.txt') + END, { type: 'multipart/form-data; boundary=' }),
    statuses: [422],
  },
  {
    name: 'another boundary',
    bytes: upload(filePart('a.txt') + END, { type: 'multipart/form-data; boundary=C' }),
    statuses: [422],
  },
  {
    name: 'a boundary of 5 kB',
    bytes: upload(filePart('a.txt') + END, { type: `multipart/form-data; boundary=${'B'.repeat(5000)}` }),
    statuses: [422],
  },
  {
    name: 'another type',
    bytes: upload(filePart('a.txt') + END, { type: 'multipart/mixed; boundary=B' }),
    statuses: [415],
  },
  {
    name: 'two content types',
    bytes: upload(filePart('a.txt') + END, { headers: 'Content-Type: text/plain\r\n' }),
    statuses: [200],
  },
  {
    name: 'a form within the form',
    bytes: upload(
      part(
        'Content-Disposition: form-data; name="file"\r\nContent-Type: multipart/mixed; boundary=C',
        `--C\r\nContent-Disposition: file; filename="a.txt"\r\n\r\nx\r\n--C--`,
      ) + END,
    ),
    statuses: [422],
  },
  {
    name: 'a file in another field',
    bytes: upload(part('Content-Disposition: form-data; name="other"; filename="a.txt"') + END),
    statuses: [422],
  },
  { name: 'no filename', bytes: upload(part('Content-Disposition: form-data; name="file"') + END), statuses: [422] },
  { name: 'an empty filename', bytes: upload(filePart('') + END), statuses: [422] },
  { name: 'no disposition', bytes: upload(part('Content-Type: text/plain') + END), statuses: [422] },
  { name: 'a header without a colon', bytes: upload(part('Content-Disposition') + END), statuses: [422] },
  {
    name: 'a folded header of a part',
    bytes: upload(part('Content-Disposition: form-data;\r\n name="file"; filename="a.txt"') + END),
    statuses: [200],
  },
  {
    name: 'line feeds alone in a form',
    bytes: upload((filePart('a.txt') + END).replaceAll('\r', '')),
    statuses: [422],
  },
  {
    name: 'a part header of 100 kB',
    bytes: upload(
      part(`X: ${'y'.repeat(100_000)}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"`) + END,
    ),
    statuses: [422],
  },
  { name: 'a part header without an end', bytes: upload(`--B\r\n${'X: y\r\n'.repeat(50_000)}`), statuses: [422] },
  {
    name: 'content that is encoded',
    bytes: upload(
      part(
        'Content-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Transfer-Encoding: base64',
        'eA==',
      ) + END,
    ),
    statuses: [200],
  },
  {
    name: 'an unknown character set',
    bytes: upload(
      part(
        'Content-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain; charset=klingon',
      ) + END,
    ),
    statuses: [200],
  },
  ...[
    'a\0.txt',
    'a%0D%0A.txt',
    'a\xe2\x80\xaeb.txt',
    'CON.txt',
    'nul.jpg',
    '../a.txt',
    '.a.txt',
    `${'a'.repeat(252)}.txt`,
  ].map(
    (name): Case => ({
      name: `the filename ${JSON.stringify(name.slice(0, 20))}`,
      bytes: upload(filePart(name) + END),
      statuses: [422],
    }),
  ),
  ...[
    'a%22b.txt',
    'a%2fb.txt',
    '100%.txt',
    'icon.txt',
    'con-1.txt',
    '\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80.txt',
  ].map(
    (name): Case => ({
      name: `the filename ${JSON.stringify(name)}`,
      bytes: upload(filePart(name) + END),
      statuses: [200],
    }),
  ),
  {
    name: 'a form that ends early',
    bytes: upload(filePart('a.txt') + END, { length: 4000 }),
    statuses: [400],
    isHalfClosed: true,
    isClosed: true,
  },
  {
    name: 'a form longer than its length',
    bytes: upload(filePart('a.txt') + END, { length: 60 }),
    statuses: [422, 400],
    isClosed: true,
  },
];
