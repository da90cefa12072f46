import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import parseRange from 'range-parser';
import { errorResponse } from '../errors.js';

interface SentBytes {
  readonly name: string;
  readonly etag: string;
  readonly sizeBytes: number;
  readonly contentType: string;
  /** Other ranges than those up to the end get all bytes. */
  readonly endsWhole?: boolean;
  readonly open: (range?: { start: number; end: number }) => Promise<NodeJS.ReadableStream> | NodeJS.ReadableStream;
}

/** Other forms are ignored. A range beyond the end is rejected (RFC 9110, 14.2). */
const RANGES = /^bytes=\s*(\d+-\d*|-\d+)(\s*,\s*(\d+-\d*|-\d+))*\s*$/;

export async function sendBytes(
  { headers, method }: FastifyRequest,
  reply: FastifyReply,
  { name, etag, sizeBytes, contentType, endsWhole, open }: SentBytes,
) {
  reply.headers({
    etag,
    'accept-ranges': 'bytes',
    // No script may run in a file that a browser opens directly.
    'content-security-policy': "default-src 'none'; sandbox",
  });
  if (matches(headers['if-none-match'], etag)) return sendNotModified(reply);
  reply.type(contentType);
  // Only GET has ranges (RFC 9110, 14.2).
  const appliesRange = method === 'GET' && (headers['if-range'] === undefined || headers['if-range'] === etag);
  const rangeHeader = appliesRange && RANGES.test(headers.range ?? '') ? headers.range : undefined;
  const ranges = rangeHeader && parseRange(sizeBytes, rangeHeader);
  if (ranges === -1) {
    const message = `The range is beyond the end of ${name}, which has ${sizeBytes} bytes.`;
    const response = errorResponse('range_not_satisfiable', message);
    return reply
      .code(response.status)
      .removeHeader('cache-control')
      .header('content-range', `bytes */${sizeBytes}`)
      .type('application/json; charset=utf-8')
      .send(response.body);
  }
  // Several ranges get the whole file (RFC 9110, 14.2).
  const [range] = Array.isArray(ranges) && ranges.length === 1 ? ranges : [];
  if (range === undefined || (endsWhole && range.end + 1 < sizeBytes)) {
    return reply.header('content-length', sizeBytes).send(method === 'HEAD' ? noBytes() : await open());
  }
  const end = range.end + 1;
  return reply
    .code(206)
    .header('content-range', `bytes ${range.start}-${range.end}/${sizeBytes}`)
    .header('content-length', end - range.start)
    .send(await open({ start: range.start, end }));
}

export function sendNotModified(reply: FastifyReply): FastifyReply {
  return reply.code(304).send();
}

/** HEAD does not read the file. */
export function noBytes(): Readable {
  return Readable.from([]);
}

/** `If-None-Match` compares weakly (RFC 9110, 13.1.2). Tags may contain commas. */
export function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.trim() === '*' || ifNoneMatch.match(/"[^"]*"/g)?.includes(etag) === true;
}
