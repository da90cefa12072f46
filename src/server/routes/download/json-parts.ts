import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';

/** The size of the captions of one part. The largest caption has as many bytes, and its JSON up to six times more. */
const PART_BYTES = 64 * 1024;

/** Divides items into lists by the size of their captions. */
export function textPages<T>(items: readonly T[], bytesOf: (item: T) => number): T[][] {
  const pages: T[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const item of items) {
    bytes += bytesOf(item);
    if (bytes > PART_BYTES) {
      pages.push([]);
      bytes = bytesOf(item);
    }
    pages.at(-1)?.push(item);
  }
  return pages;
}

/**
 * Sends JSON part by part, as the client reads it: whole, the texts of a thousand captions of the largest size and their JSON
 * would take hundreds of megabytes. An error before the first part is the answer; a later one breaks it off.
 */
export function sendJsonParts(reply: FastifyReply, parts: AsyncIterable<string>): never {
  return reply.type('application/json; charset=utf-8').send(Readable.from(parts, { highWaterMark: 1 })) as never;
}

/** The JSON of the elements of a list, without its brackets. */
export function jsonElements(list: readonly object[]): string {
  return JSON.stringify(list).slice(1, -1);
}
