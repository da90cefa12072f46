import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { HoldUnsent } from '../limits.js';

/** The largest caption has as many bytes; its JSON can have six times more. */
const PAGE_BYTES = 64 * 1024;

/** An error before the first page is the answer; a later one breaks it off. */
export type SendJson = (reply: FastifyReply, pages: AsyncIterable<Buffer>) => FastifyReply;

/** A thousand captions of the largest size and their JSON would take hundreds of megabytes at once. */
export function sendJsonWith(holdUnsent: HoldUnsent): SendJson {
  return (reply, pages) => {
    const { accountId } = reply.request;
    const held = async function* () {
      for await (const page of pages) {
        holdUnsent(reply.raw, { accountId, bytes: page.length + reply.raw.writableLength });
        yield page;
      }
    };
    // A high water mark would make the next page ahead.
    return reply.type('application/json; charset=utf-8').send(Readable.from(held(), { highWaterMark: 0 }));
  };
}

/** Yields elements without the list's brackets, in pages of up to 64 KiB of captions. */
export async function* listJson<T>(
  items: readonly T[],
  bytesOf: (item: T) => number,
  toWire: (page: readonly T[]) => Promise<readonly object[]>,
): AsyncGenerator<Buffer, void, void> {
  let separator = '';
  for (let start = 0, end = 0; start < items.length; start = end) {
    for (let bytes = 0; end < items.length; end++) {
      bytes += bytesOf(items[end]!);
      if (end > start && bytes > PAGE_BYTES) break;
    }
    const json = JSON.stringify(await toWire(items.slice(start, end)));
    yield Buffer.from(`${separator}${json.slice(1, -1)}`);
    separator = ',';
  }
}
