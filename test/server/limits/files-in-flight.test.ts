import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { FilesInFlight } from '../../../src/server/limits/files-in-flight.js';

const newResponse = () => new ServerResponse(new IncomingMessage(new Socket()));

test('archives are rejected while others of the account, or of all accounts, have too many files', () => {
  const files = new FilesInFlight();
  const first = newResponse();
  files.admit('ada', 150_000, first);
  expect(() => files.admit('ada', 50_001, newResponse())).toThrow(
    expect.objectContaining({ code: 'too_many_requests', retryAfterSeconds: 10 }),
  );
  files.admit('ada', 50_000, newResponse());
  files.admit('bob', 150_000, newResponse());
  expect(() => files.admit('eve', 50_001, newResponse())).toThrow(expect.objectContaining({ code: 'overloaded' }));
  first.emit('close');
  files.admit('eve', 50_001, newResponse());
  files.admit('ada', 100_000, newResponse());
  expect(files.total).toBe(350_001);
});

test('one archive of any number of files is admitted while there is no other', () => {
  const files = new FilesInFlight();
  const only = newResponse();
  files.admit('ada', 1_000_000, only);
  expect(() => files.admit('bob', 1, newResponse())).toThrow(expect.objectContaining({ code: 'overloaded' }));
  only.emit('close');
  expect(files.total).toBe(0);
});
