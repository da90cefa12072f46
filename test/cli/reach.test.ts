import { expect, test } from 'vitest';
import { fetchOnceReached } from '../../src/cli/remote.js';
import { CommandError, endingOf } from '../../src/cli/terminal/exit-codes.js';
import { TrainyardClient } from '../../src/client/client.js';
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

test('an error of the database ends the command in words', () => {
  const ended = (fields: object) => endingOf(Object.assign(new Error('it failed'), fields));
  const catalog = { code: 74, message: "the catalog can't be used: it failed" };
  expect(ended({ code: 'ERR_SQLITE_ERROR', errcode: 7 })).toEqual(catalog);
  const database = { code: 75, message: "the database can't be used: it failed" };
  expect(ended({ severity: 'ERROR', code: '53100' })).toEqual(database);
});
