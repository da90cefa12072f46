import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/base-path.js';
import type { Api } from '../harness/api.js';
import { IS_ALL } from '../harness/available.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';
import { RawClient } from './raw-client.js';
import { faultsOf, openFiles, stagedIn } from './remains.js';
import { BODIES, type Case, CONTENT, FORMS, FRAMING, type Target, URLS } from './torture-cases.js';

let server: TestServer;
let api: Api;
let target: Target;
beforeAll(async () => {
  server = await startServer();
  api = await server.api();
  const id = await api.newDataset();
  const { pathname, search, host } = new URL(await api.link(id, 'linked.txt', CONTENT.length));
  target = {
    host,
    datasets: BASE_PATH,
    dataset: `${BASE_PATH}/${id}`,
    link: pathname + search,
    token: `Authorization: Bearer ${api.token}\r\n`,
  };
});
afterAll(async () => {
  await eventually(() => (stagedIn(server.dataFolder).length === 0 ? true : undefined));
  const files = openFiles(server);
  await discardServer(server);
  expect(faultsOf(server)).toEqual([]);
  expect(files).toBeLessThan(100);
});

interface WireAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** The complete answers among the bytes of a connection. */
function answersIn(received: string): WireAnswer[] {
  const answers: WireAnswer[] = [];
  for (let rest = received; ; ) {
    const [head, status, lines = ''] = /^HTTP\/1\.1 (\d+) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n/.exec(rest) ?? [];
    if (head === undefined) {
      // Bytes after the last answer must be the beginning of another.
      if (rest !== '' && !'HTTP/1.1 '.startsWith(rest.slice(0, 9)))
        throw new Error(`not an answer: ${rest.slice(0, 200)}`);
      return answers;
    }
    const headers = new Map(
      lines.split('\r\n').map((line): [string, string] => {
        const [name = '', value = ''] = line.split(/: (.*)/s);
        return [name.toLowerCase(), value];
      }),
    );
    const length = Number(headers.get('content-length') ?? 0);
    if (rest.length < head.length + length) return answers;
    answers.push({ status: Number(status), headers, body: rest.slice(head.length, head.length + length) });
    rest = rest.slice(head.length + length);
  }
}

/** Checks what is true of every answer: never a fault of the server, and JSON in the format of the API. */
function checkAnswer({ status, headers, body }: WireAnswer): void {
  if (status === 100) return;
  expect(status).toBeLessThan(500);
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  if (status < 400) return;
  expect(headers.get('content-type')).toMatch(/^application\/json/);
  const { error_code, error_message } = JSON.parse(body) as { error_code: number; error_message: string };
  expect(Math.floor(error_code / 1000)).toBe(status);
  expect(error_message.length).toBeGreaterThan(10);
}

async function checkHealth(): Promise<void> {
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
}

async function run([, bytes, status, end]: Case): Promise<void> {
  const client = await RawClient.open(server.url);
  await client.send(Buffer.from(typeof bytes === 'string' ? bytes : bytes(target), 'latin1'));
  if (end === 'half-closed') client.finish();
  const statuses = [status].flat();
  await eventually(() => (client.isClosed || answersIn(client.received).length >= statuses.length ? true : undefined));
  if (end !== undefined) await client.closed();
  const answers = answersIn(client.received);
  expect(answers.map(({ status }) => status)).toEqual(statuses);
  answers.forEach(checkAnswer);
  await client.hangUp();
}

describe.each([
  ['requests', FRAMING],
  ['bodies', BODIES],
  ['URLs', URLS],
  ['forms', FORMS],
])('%s', (_, cases) => {
  for (const torture of cases) {
    test(torture[0], async () => {
      await run(torture);
      await checkHealth();
    });
  }
});

/** Sends the bytes, and checks all that is answered until the server closes the connection. */
async function answersTo(bytes: string, { isHalfClosed = false } = {}): Promise<WireAnswer[]> {
  const client = await RawClient.open(server.url);
  await client.send(Buffer.from(bytes, 'latin1'));
  if (isHalfClosed) client.finish();
  await client.closed();
  const answers = answersIn(client.received);
  answers.forEach(checkAnswer);
  return answers;
}

/** One of the texts between bars. */
const anyOf = (texts: string) => fc.constantFrom(...texts.split(/(?:\n +)?\|/));

describe('generated', () => {
  test('requests of any lines are answered, and never with a fault', async () => {
    const line =
      anyOf(`Host: a|Host:|Connection: close|Connection: keep-alive, upgrade|Content-Length: 2|Content-Length: 0
      |Content-Length: 2 |Transfer-Encoding: chunked|transfer-encoding:\tchunked|Transfer-Encoding: gzip
      |Expect: 100-continue|Expect: x|Content-Type: application/json|Content-Type: multipart/form-data; boundary=a
      |Content-Type: ;|Range: bytes=0-1,2-|If-None-Match: *|Accept-Version: 1|X-Forwarded-For: \xff, ,|Upgrade: h2c
      | folded|:|X|TOKEN`);
    const request = fc.record({
      method: anyOf('GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH|QUERY|CONNECT|M-SEARCH|get|'),
      path: anyOf('/healthz|/|*||//|DATASETS|DATASET/upload|DATASET/get-upload-endpoint|LINK|/docs?%|a:1'),
      version: anyOf('HTTP/1.1|HTTP/1.1|HTTP/1.1|HTTP/1.0|HTTP/2.0|HTTP/1.|'),
      lines: fc.array(line, { maxLength: 6 }),
      end: anyOf('\r\n|\r\n|\r\n|\n|\r'),
      body: anyOf('|{}|{}|2\r\n{}\r\n0\r\n\r\n|--a--\r\n|0\r\n\r\n|GET / HTTP/1.1\r\n\r\n|\0'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 3 }), async (requests) => {
        const bytes = requests
          .map(({ method, path, version, lines, end, body }) => {
            const url = path
              .replace('DATASETS', target.datasets)
              .replace('DATASET', target.dataset)
              .replace('LINK', target.link);
            const headers = lines.map((one) => one.replace('TOKEN', target.token.trim()));
            return [`${method} ${url} ${version}`, ...headers, '', body].join(end);
          })
          .join('');
        // A HEAD has a length without a body, so that the bytes of its answer can't be told from those of the next.
        if (!bytes.startsWith('HEAD') && !bytes.includes('HEAD /')) await answersTo(bytes, { isHalfClosed: true });
      }),
      { numRuns: IS_ALL ? 300 : 100 },
    );
    await checkHealth();
  });

  test('forms of any parts are answered once, and never with a fault', async () => {
    const header = fc.constantFrom(
      'Content-Disposition: form-data; name="file"; filename="a.txt"',
      'Content-Disposition: form-data; name="file"; filename="a.txt',
      'Content-Disposition: form-data; name=file; filename=a.txt',
      'Content-Disposition: form-data; name="file"; filename="a\\".txt"; filename="b.txt"',
      'Content-Disposition: form-data; name="file"; filename*=UTF-8\'\'%e2%82',
      'Content-Disposition: form-data; name="file"; filename*=klingon\'en\'a.txt',
      'Content-Disposition: form-data; filename="a.txt"',
      'Content-Disposition: attachment; name="file"; filename="a.txt"',
      'content-disposition:form-data;name="file";filename="\xff\xfe.txt"',
      'Content-Disposition:',
      'Content-Type: application/octet-stream',
      'Content-Type: text/plain; charset="',
      'Content-Transfer-Encoding: quoted-printable',
      ' folded: yes',
      ': empty',
      'no colon',
    );
    const piece = fc.oneof(
      fc
        .tuple(fc.array(header, { maxLength: 3 }), fc.string({ unit: 'binary', maxLength: 40 }))
        .map(([headers, content]) => `--B\r\n${headers.map((one) => `${one}\r\n`).join('')}\r\n${content}\r\n`),
      fc.constantFrom('--B--\r\n', '--B', '--B-', '--B \r\n', '\r\n--B\r\n\r\n', '--B--', '\r\n', '--', '\0'),
    );
    const bound = fc.constantFrom('B', 'B', 'B', '"B"', '" B"', 'B;', '--B', '', '\xff');
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 6 }), bound, async (pieces, boundary) => {
        const body = Buffer.from(pieces.join('')).toString('latin1');
        const answers = await answersTo(
          `POST ${target.dataset}/upload HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${target.token}Content-Type: multipart/form-data; boundary=${boundary}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        );
        expect(answers.map(({ status }) => status)).toEqual([expect.toBeOneOf([200, 415, 422])]);
      }),
      { numRuns: IS_ALL ? 300 : 100 },
    );
    await checkHealth();
  });
});
