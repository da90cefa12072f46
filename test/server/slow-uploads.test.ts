import fastify from 'fastify';
import { expect, onTestFinished, test } from 'vitest';
import type { ServiceError } from '../../src/dataset/errors.js';
import { filePartOf, MAX_DIRECT_BODY_BYTES, uploadSignal } from '../../src/server/bodies.js';
import { formOf, RawClient } from '../faults/raw-client.js';
import { eventually } from '../harness/server.js';

const LIMIT = { bytes: MAX_DIRECT_BODY_BYTES, message: 'The file is too large.' };

/** Receives direct uploads within a second. `isBusy` delays what follows the last byte. */
async function receiver({ isBusy = false } = {}): Promise<string> {
  const app = fastify();
  onTestFinished(() => app.close());
  app.addContentTypeParser('multipart/form-data', async () => undefined);
  app.post('/', async (request, reply) => {
    const signal = uploadSignal(request, reply, { totalSeconds: 1 });
    const work = async () => {
      const { body } = await filePartOf(request.raw, { limit: LIMIT, signal });
      for await (const _ of body) signal.throwIfAborted();
      if (isBusy) await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      return {};
    };
    return work().catch((error) =>
      reply.code(500).send({ code: (error as ServiceError).code, message: error.message }),
    );
  });
  return app.listen({ host: '127.0.0.1', port: 0 });
}

const { head, tail } = formOf('slow.jpg');

/** The head of a request with a multipart body. */
const headOfForm = (bytes: number) =>
  `POST / HTTP/1.1\r\nHost: yard\r\nContent-Type: multipart/form-data; boundary=${/^--(\S+)/.exec(head)?.[1]}\r\nContent-Length: ${bytes}\r\n\r\n`;

test('a direct upload that is slow is ended in time', async () => {
  const client = await RawClient.open(await receiver());
  await client.send(headOfForm(1_000_000), head);
  const { body } = await eventually(async () => {
    await client.send('x');
    return client.answer();
  });
  expect(body).toMatchObject({ code: 'upload_too_slow' });
  await client.hangUp();
});

test('a direct upload whose check takes too long is not blamed on the connection', async () => {
  const client = await RawClient.open(await receiver({ isBusy: true }));
  await client.send(headOfForm(head.length + 1 + tail.length), head, 'x', tail);
  const { body } = await eventually(() => client.answer());
  expect(body.message).toMatch(/^The whole file arrived, but .* within 1 s\. .*get-upload-endpoint/);
  await client.hangUp();
});
