import { pipeline, type Readable, Transform } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';

const MIB = 1024 * 1024;

/** A page of a listing has a thousand keys of up to 1,024 bytes, each of which may take several characters in XML. */
const MAX_ANSWER_BYTES = 8 * MIB;

/**
 * Limits the bodies of all answers but the bytes of an object: the SDK reads them into memory. A longer one breaks off with an
 * error.
 */
export function limitAnswers(client: S3Client): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const result = await next(args).catch((error) => {
          // The beginning of an answer that is not HTTP. It would be logged, byte by byte.
          delete error.rawPacket;
          throw error;
        });
        const response = result.response as { statusCode: number; body?: Readable };
        const isObject = commandName === 'GetObjectCommand' && response.statusCode < 300;
        if (!isObject && response.body !== undefined) response.body = limited(response.body);
        return result;
      },
    { step: 'deserialize', priority: 'low', name: 'limitAnswers' },
  );
}

function limited(body: Readable): Readable {
  let bytes = 0;
  const limit = new Transform({
    transform: (chunk: Buffer, _, done) => {
      bytes += chunk.length;
      if (bytes <= MAX_ANSWER_BYTES) return done(null, chunk);
      const error = new Error(`the answer of the store has more than ${MAX_ANSWER_BYTES / MIB} MiB`);
      done(Object.assign(error, { code: 'EMSGSIZE' }));
    },
  });
  // The reader of `limit` has the error.
  return pipeline(body, limit, () => {});
}
