import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { RouteContext } from '../../context.js';
import { sendJson } from '../../limits/large-json.js';

/** The size of the captions that are read at a time. The largest caption has as many bytes, and its JSON up to six times more. */
const PAGE_BYTES = 64 * 1024;

/** Divides items into pages by the size of their captions. */
export function textPages<T>(items: readonly T[], bytesOf: (item: T) => number): T[][] {
  const pages: T[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const item of items) {
    bytes += bytesOf(item);
    if (bytes > PAGE_BYTES) {
      pages.push([]);
      bytes = bytesOf(item);
    }
    pages.at(-1)?.push(item);
  }
  return pages;
}

/**
 * Sends JSON that is made page by page, as the client takes it: whole, the texts of a thousand captions of the largest size and
 * their JSON would take hundreds of megabytes.
 *
 * @param pages read the captions of a page, and yield what makes its JSON when the account has its turn. What the first 64 KiB
 * throw is the answer; what later ones throw breaks it off.
 */
export async function sendJsonPages(
  reply: FastifyReply,
  pages: AsyncGenerator<() => string, void, void>,
  { unsentAnswers, takeTurn }: Pick<RouteContext, 'unsentAnswers' | 'takeTurn'>,
): Promise<never> {
  const { accountId } = reply.request;
  const hold = (page: number) => unsentAnswers.hold(reply.raw, { accountId, bytes: page + reply.raw.writableLength });
  const next = async () => {
    const { value: json } = await pages.next();
    if (json === undefined) return undefined;
    // A client that has taken the page before holds nothing while it waits.
    hold(0);
    await takeTurn(accountId);
    return Buffer.from(json());
  };
  const first: Buffer[] = [];
  let firstBytes = 0;
  while (firstBytes < PAGE_BYTES) {
    const page = await next();
    if (page === undefined) return sendJson(reply, Buffer.concat(first));
    first.push(page);
    firstBytes += page.length;
  }
  // Not a generator: while one waits, its variables hold the page before.
  const stream = new Readable({
    read() {
      const sendPage = (page: Buffer | undefined) => {
        if (page !== undefined) hold(page.length);
        this.push(page ?? null);
      };
      Promise.resolve(first.shift() ?? next())
        .then(sendPage)
        .catch((error) => this.destroy(error));
    },
    destroy(error, done) {
      pages.return().then(
        () => done(error),
        () => done(error),
      );
    },
  });
  return sendJson(reply, stream);
}

/** The JSON of the elements of a list, without its brackets. */
export function jsonElements(list: readonly object[]): string {
  return JSON.stringify(list).slice(1, -1);
}
