import { describe, expect, test } from 'vitest';
import { trainyard } from '../harness/command.js';
import { sendJson, startScriptedService } from '../harness/scripted-service.js';

const DATASET = { id: 'd1', name: 'railway', files: {} };
const SHA256 = 'a'.repeat(64);
const INVALID = /^(trainyard: )?The server sent an invalid answer: [^\n]{10,200}\n?$/;

const stored = (filename: string) => ({
  ...{ filename, size_bytes: 1, content_type: 'text/plain', sha256: SHA256, etag: `"${SHA256}"`, kind: 'caption' },
  uploaded_at: '2025-07-22T13:05',
});

/** Runs a command against a service that answers this path with the document for each of its queries. */
async function ended(args: readonly string[], path: string, documentFor: (query: URLSearchParams) => unknown) {
  const service = await startScriptedService(DATASET, (request, response) => {
    const url = new URL(request.path, 'http://service');
    return url.pathname.endsWith(path) ? sendJson(response, 200, documentFor(url.searchParams)) : false;
  });
  const env = { TRAINYARD_URL: service.url, TRAINYARD_TOKEN: 'ty_secret', HOME: '/nowhere' };
  const { code, stderr, json } = await trainyard(args, { env });
  const message = args.includes('--json') ? json().error.message : stderr;
  return { code, message, pages: service.seen.filter((line) => line.includes(path)).length };
}

describe('pages of a difference', () => {
  const page = (names: readonly string[], next: string | null, total = 1_000_000) => ({
    from: 0,
    to: 1,
    total: { added: total, removed: 0, changed: 0 },
    added: names.map(stored),
    removed: [],
    changed: [],
    next_after: next,
  });

  test.each([[[]], [['--json']]])('that do not advance end the command %s', async (flags) => {
    const diff = ['diff', 'railway', '0', '1', ...flags];
    const circle = await ended(diff, '/diff', () => page(['a.txt'], 'a.txt'));
    expect(circle).toEqual({ code: 76, message: expect.stringMatching(INVALID), pages: 2 });
    const empty = await ended(diff, '/diff', () => page([], ''));
    expect(empty).toEqual({ code: 76, message: expect.stringMatching(INVALID), pages: 1 });
    const back = await ended(diff, '/diff', (query) => page(['b.txt'], query.has('after') ? 'a.txt' : 'b.txt'));
    expect(back).toEqual({ code: 76, message: expect.stringMatching(INVALID), pages: 2 });
  });
});

describe('pages of the log', () => {
  const revision = (number: number) => ({
    ...{
      number,
      started_at: '2025-07-22T13:05',
      changed_at: '2025-07-22T13:05',
      account: 'a',
      token: null,
      how: 'edit',
    },
    ...{ change_id: null, restored_from: null, added: 1, removed: 0, changed: 0, files: 1, bytes: 1, digest: SHA256 },
    ...{ ready: true, is_latest: false, pinned: null },
  });
  const page = (count: number, next: number | null) => ({
    revisions: Array.from({ length: count }, (_, i) => revision(i + 1)),
    next_before: next,
  });

  test('that do not advance end the command', async () => {
    const circle = await ended(['log', 'railway', '--limit', '1000'], '/revisions', () => page(1, 5));
    expect(circle).toEqual({ code: 76, message: expect.stringMatching(INVALID), pages: 2 });
  });
});
