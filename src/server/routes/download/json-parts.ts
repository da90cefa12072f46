import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { RouteContext } from '../../context.js';

/** The size of the captions of one part. The largest caption has as many bytes, and its JSON up to six times more. */
const PART_BYTES = 64 * 1024;

/** Divides items into lists by the size of their captions. Each is made when it is read. */
export function* textPages<T>(items: readonly T[], bytesOf: (item: T) => number): Generator<T[], void, void> {
  let page: T[] = [];
  let bytes = 0;
  for (const item of items) {
    if (page.length > 0 && bytes + bytesOf(item) > PART_BYTES) {
      yield page;
      page = [];
      bytes = 0;
    }
    page.push(item);
    bytes += bytesOf(item);
  }
  if (page.length > 0) yield page;
}

/**
 * Sends JSON part by part, as the client reads it: whole, the texts of a thousand captions of the largest size and their JSON
 * would take hundreds of megabytes. An error before the first part is the answer; a later one breaks it off.
 *
 * @param parts each is made when the client has read the one before
 */
export function sendJsonParts(
  reply: FastifyReply,
  parts: AsyncIterable<Buffer>,
  { unsentAnswers }: Pick<RouteContext, 'unsentAnswers'>,
): never {
  const { accountId } = reply.request;
  const held = async function* () {
    for await (const part of parts) {
      unsentAnswers.hold(reply.raw, { accountId, bytes: part.length + reply.raw.writableLength });
      yield part;
    }
  };
  // With a part as its high water mark, it would make the next one ahead.
  return reply.type('application/json; charset=utf-8').send(Readable.from(held(), { highWaterMark: 0 })) as never;
}

/** The JSON of the elements of a list, without its brackets. */
export function jsonElements(list: readonly object[]): Buffer {
  return Buffer.from(JSON.stringify(list)).subarray(1, -1);
}
