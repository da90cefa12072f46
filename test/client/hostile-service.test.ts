import { expect, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';

test.each(['ty_secret\nsecond', ' ty_secret', 'ty_secret\u6f22', ''])(
  'a client is not made with a token that no header can carry, which is not quoted: %j',
  (token) => {
    const made = () => new TrainyardClient({ baseUrl: 'http://127.0.0.1:1', token });
    expect(made).toThrow(
      new TypeError('The token is empty, or has a space, a line end or a character that is not ASCII.'),
    );
  },
);
