import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { FilesInFlight } from '../../../src/server/limits/files-in-flight.js';

const newResponse = () => new ServerResponse(new IncomingMessage(new Socket()));
const overloaded = expect.objectContaining({ code: 'overloaded', retryAfterSeconds: 10 });

test('archives are rejected while others of the account, or of all accounts, have too many files', () => {
  const files = new FilesInFlight();
  const first = newResponse();
  files.admit('ada', 150_000, first);
  expect(() => files.admit('ada', 50_001, newResponse())).toThrow(
    expect.objectContaining({ code: 'too_many_requests', retryAfterSeconds: 10 }),
  );
  files.admit('ada', 50_000, newResponse());
  files.admit('bob', 150_000, newResponse());
  expect(() => files.admit('eve', 133_334, newResponse())).toThrow(overloaded);
  first.emit('close');
  files.admit('eve', 133_334, newResponse());
  files.admit('ada', 50_000, newResponse());
  expect(files.total).toBe(383_334);
});

test('the only archive of an account may have any number of files, and takes no more than half of those of all', () => {
  const files = new FilesInFlight();
  const only = newResponse();
  files.admit('ada', 1_000_000, only);
  expect(() => files.admit('ada', 1, newResponse())).toThrow(expect.objectContaining({ code: 'too_many_requests' }));
  files.admit('bob', 200_000, newResponse());
  only.emit('close');
  files.admit('eve', 1_000_000, newResponse());
  expect(files.total).toBe(1_200_000);
});

test('an account gets its share while others have all files in flight', () => {
  const files = new FilesInFlight();
  files.admit('ada', 1_000_000, newResponse());
  files.admit('bob', 1_000_000, newResponse());
  expect(() => files.admit('eve', 133_334, newResponse())).toThrow(overloaded);
  files.admit('eve', 133_333, newResponse());
  expect(() => files.admit('eve', 1, newResponse())).toThrow(overloaded);
  files.admit('dan', 100_000, newResponse());
  expect(() => files.admit('dan', 1, newResponse())).toThrow(overloaded);
});
