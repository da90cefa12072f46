import { afterAll, describe, expect, test } from 'vitest';
import { BASE_PATH } from '../../../src/api/limits.js';
import { discardServer, eventually, startServer } from '../../harness/server.js';
import { RawClient } from '../../faults/raw-client.js';
import { faultsOf, openFiles, stagedIn } from '../../faults/remains.js';
import { BODIES, type Case, CONTENT, FORMS, FRAMING, URLS } from './torture-cases.js';

const server = await startServer();
const api = await server.api();
const id = await api.newDataset();
const { pathname, search, host } = new URL(await api.link(id, 'linked.txt', CONTENT.length));
const target = {
  host,
  datasets: BASE_PATH,
  dataset: `${BASE_PATH}/${id}`,
  link: pathname + search,
  token: `Authorization: Bearer ${api.token}\r\n`,
};
afterAll(async () => {
  await eventually(() => (stagedIn(server.dataFolder).length === 0 ? true : undefined));
  const files = openFiles(server);
  // What was rejected has changed nothing.
  expect((await api.request('GET', `/${id}/shares`)).body).toEqual({ tokens: [] });
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
      expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    });
  }
});
