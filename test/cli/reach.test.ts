import { expect, test } from 'vitest';
import { fetchOnceReached } from '../../src/cli/remote.js';
import { CommandError, endingOf } from '../../src/cli/terminal/exit-codes.js';
import { TrainyardClient, TrainyardError } from '../../src/client/client.js';
import { MountError } from '../../src/service/mount/mount-source.js';
import { sharedServer } from '../harness/shared-server.js';
import { commandsOn } from './commands.js';

const server = await sharedServer();

test('a service that was never reached costs one attempt, and one that is gone for a while several', async () => {
  const { api, newProxy } = await commandsOn(server);
  const proxy = await newProxy();
  const reach = fetchOnceReached();
  let attempts = 0;
  const counted: typeof fetch = (...args) => {
    attempts++;
    return reach(...args);
  };
  const client = new TrainyardClient({ baseUrl: proxy.url, token: api.token, attempts: 3, fetch: counted });
  await proxy.goAway();
  await expect(client.list()).rejects.toThrow(CommandError);
  expect(attempts).toBe(1);
  await proxy.comeBack();
  await client.list();
  await proxy.goAway();
  attempts = 0;
  await expect(client.list()).rejects.toThrow('fetch failed');
  expect(attempts).toBe(3);
});

test('https for a service without TLS says what to do', async () => {
  const ended = await fetchOnceReached()(server.url.replace('http:', 'https:')).catch(endingOf);
  expect(ended).toEqual({ code: 69, message: expect.stringContaining('Does its URL begin with http://') });
});

test('a port that fetch does not connect to ends the command, and says so', async () => {
  const ended = await fetchOnceReached()('http://127.0.0.1:6000/').catch(endingOf);
  const message = expect.stringMatching(
    /^http:\/\/127\.0\.0\.1:6000 can't be reached: port 6000 belongs to another protocol.*such as 8787/,
  );
  expect(ended).toEqual({ code: 78, message });
});

test('what a service answers decides the exit code', () => {
  const error = { error_code: 1, error_message: 'no' };
  const answers = [400, 401, 403, 404, 413, 429, 500].map((status) => new TrainyardError(status, error));
  expect(answers.map((answer) => endingOf(answer).code)).toEqual([65, 77, 77, 66, 65, 75, 75]);
  expect(endingOf(new TrainyardError(403, { ...error, error_code: 403003 })).code).toBe(75);
  expect(endingOf(new MountError('unstable', 'it kept changing')).code).toBe(75);
});

test('an error of the database ends the command in words', () => {
  const ended = (fields: object) => endingOf(Object.assign(new Error('it failed'), fields));
  const catalog = { code: 74, message: "the catalog can't be used: it failed" };
  expect(ended({ code: 'ERR_SQLITE_ERROR', errcode: 7 })).toEqual(catalog);
  const database = { code: 75, message: "the database can't be used: it failed" };
  expect(ended({ severity: 'ERROR', code: '53100' })).toEqual(database);
});
