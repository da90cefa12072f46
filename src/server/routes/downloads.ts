import { Readable } from 'node:stream';
import contentDisposition from 'content-disposition';
import type { FastifyReply } from 'fastify';
import { MAX_CAPTION_TEXT_BYTES } from '../../api/limits.js';
import type { ZipForm } from '../../api/request-schemas.js';
import type { StoredFile } from '../../dataset/dataset.js';
import type { DatasetService } from '../../service/datasets.js';
import type { ChosenFiles, DatasetSource, Downloads, HashedFile } from '../../service/download/downloads.js';
import { captionsCsv, zipExport } from '../../service/download/exports.js';
import type { Quota } from '../../storage/limits.js';
import type { ReadLinks } from '../../service/signed-links.js';
import { tarOf } from '../../service/download/tar.js';
import type { Thumbnails } from '../../service/download/thumbnails.js';
import { closedSignal, type HoldUnsent, onceClosed } from '../connections.js';
import type { Handlers } from '../register-routes.js';
import { etagOf, fileToWire, timeOf } from '../wire.js';
import { matches, noBytes, sendBytes, sendNotModified } from './send-bytes.js';

/** Files can be replaced at any time, so caches revalidate by ETag. */
const CACHE_CONTROL = 'private, no-cache';

const ZIP = 'application/zip';

/** With the SHA-256 in its URL, a response never changes. */
const CACHE_IMMUTABLE = 'private, max-age=31536000, immutable';

interface DownloadServices {
  readonly datasets: DatasetService;
  readonly downloads: Downloads;
  readonly thumbnails: Thumbnails;
  readonly readLinks: ReadLinks;
  readonly filesInFlight: Quota;
  readonly holdUnsent: HoldUnsent;
  readonly now: () => number;
}

export function downloadHandlers(services: DownloadServices) {
  const { datasets, downloads, thumbnails, readLinks, filesInFlight, holdUnsent, now } = services;
  const chosen = async (key: DatasetSource, { reply, ...choice }: ChosenFiles & { reply: FastifyReply }) => {
    const dataset = await downloads.chosen(key, choice);
    onceClosed(reply.raw, filesInFlight.hold(key.accountId, dataset.files.length));
    return dataset;
  };
  return {
    'files.download-link': async ({ key, request: { grant } }) => {
      await datasets.summary(key);
      const { query, expiresAt } = readLinks.linkFor(key, {
        now: now(),
        until: grant?.expiresAt,
        share: grant?.kind === 'share' ? grant.tokenId : undefined,
      });
      return { query, expires_at: timeOf(expiresAt) };
    },
    'files.list': async ({ key, query }) => {
      const { files, isLast } = await downloads.page(key, query);
      return { files: files.map(fileToWire), next_after: isLast ? null : (files.at(-1)?.filename ?? null) };
    },
    'file.read': async ({ key, params, query, request, reply }) => {
      const file = await downloads.file({ ...key, revision: query.revision }, params.filename);
      const type = query.download === 'true' ? 'attachment' : 'inline';
      reply.headers({
        'cache-control': cacheControlOf(file, query.sha256),
        'content-disposition': contentDisposition(file.filename, { type }),
      });
      const { sizeBytes, contentType } = file.upload;
      const content = { name: file.filename, etag: etagOf(file.upload), sizeBytes, contentType };
      return sendBytes(request, reply, { ...content, open: (range) => downloads.bytes(file, range) });
    },
    'file.thumbnail': async ({ key, params, query, accountId, request, reply }) => {
      const signal = closedSignal(reply);
      const file = await downloads.file({ ...key, revision: query.revision }, params.filename);
      const etag = `"${file.upload.sha256}-thumbnail"`;
      reply.headers({ etag, 'cache-control': cacheControlOf(file, query.sha256) });
      if (matches(request.headers['if-none-match'], etag)) return sendNotModified(reply);
      return reply.type('image/webp').send(await thumbnails.read(file, { accountId, signal }));
    },
    'files.archive': async ({ key, query, body, accountId, reply }) => {
      const files = await downloads.files({ ...key, revision: query.revision }, body.filenames);
      onceClosed(reply.raw, filesInFlight.hold(accountId, files.length));
      const archive = tarOf(files, (file) => downloads.archived(accountId, file));
      reply.headers({ 'cache-control': CACHE_CONTROL, 'content-length': archive.sizeBytes });
      return reply.type('application/x-tar').send(archive.open());
    },
    'files.zip': async ({ key, query: { as, only, revision }, accountId, request, reply }) => {
      const dataset = await chosen({ ...key, revision }, { only, reply });
      const { etag, sizeBytes, open } = zipExport(dataset, as, { accountId, downloads });
      const name = `${exportNameOf(dataset, as, revision)}.zip`;
      reply.headers({ 'cache-control': CACHE_CONTROL, 'content-disposition': contentDisposition(name) });
      if (sizeBytes === undefined) return reply.type(ZIP).send(request.method === 'HEAD' ? noBytes() : open());
      // CRCs are at the end, so that a range within would cost as much.
      const content = { name, etag, sizeBytes, contentType: ZIP, endsWhole: true };
      return sendBytes(request, reply, { ...content, open: (range) => open(range?.start) });
    },
    'files.zip-selection': async ({ key, query: { as, only, revision }, body: { filenames }, accountId, reply }) => {
      const dataset = await chosen({ ...key, revision }, { only, filenames, reply });
      const name = `${exportNameOf(dataset, as, revision)} (selection).zip`;
      reply.headers({ 'cache-control': CACHE_CONTROL, 'content-disposition': contentDisposition(name) });
      return reply.type(ZIP).send(zipExport(dataset, as, { accountId, downloads }).open());
    },
    'captions.csv': async ({ key, query: { only, revision }, accountId, request, reply }) => {
      const dataset = await chosen({ ...key, revision }, { only, reply });
      const name = `${exportNameOf(dataset, 'captions', revision)}.csv`;
      reply.headers({ 'cache-control': CACHE_CONTROL, 'content-disposition': contentDisposition(name) });
      const rows = () => Readable.from(captionsCsv(dataset, { accountId, downloads }), { objectMode: false });
      return reply.type('text/csv; charset=utf-8').send(request.method === 'HEAD' ? noBytes() : rows());
    },
    'captions.read': async ({ key, query, body, accountId, reply }) => {
      const files = await downloads.captions({ ...key, revision: query.revision }, body.filenames);
      onceClosed(reply.raw, filesInFlight.hold(accountId, files.length));
      const pages = captionPages(files, async (page) => {
        const texts = await downloads.texts(accountId, page);
        return page.map((file) => {
          const { sha256 } = file.upload;
          return { filename: file.filename, sha256, etag: etagOf(file.upload), text: texts.get(file) ?? null };
        });
      });
      const held = async function* () {
        for await (const page of pages) {
          holdUnsent(reply.raw, { accountId, bytes: page.length + reply.raw.writableLength });
          yield page;
        }
      };
      // A high water mark would make the next page ahead.
      return reply.type('application/json; charset=utf-8').send(Readable.from(held(), { highWaterMark: 0 }));
    },
  } satisfies Partial<Handlers>;
}

/**
 * Yields the JSON of captions with up to 64 KiB of texts at a time: a thousand of the largest would take hundreds of megabytes. An
 * error before the first page is the answer; a later one breaks it off.
 */
async function* captionPages(
  files: readonly HashedFile[],
  toWire: (page: readonly HashedFile[]) => Promise<readonly object[]>,
): AsyncGenerator<Buffer> {
  let before = '{"captions":[';
  for (let start = 0, end = 0; start < files.length; start = end) {
    for (let bytes = 0; end < files.length; end++) {
      bytes += files[end]!.upload.sizeBytes;
      if (end > start && bytes > MAX_CAPTION_TEXT_BYTES) break;
    }
    const json = JSON.stringify(await toWire(files.slice(start, end)));
    yield Buffer.from(`${before}${json.slice(1, -1)}`);
    before = ',';
  }
  yield Buffer.from(before === ',' ? ']}' : `${before}]}`);
}

/** `railway captions (revision 3)` */
function exportNameOf({ name }: { name: string }, form: ZipForm, revision: number | undefined): string {
  return `${name}${form === 'files' ? '' : ` ${form}`}${revision === undefined ? '' : ` (revision ${revision})`}`;
}

function cacheControlOf({ upload }: StoredFile, requestedSha256: string | undefined): string {
  return requestedSha256 === upload.sha256 ? CACHE_IMMUTABLE : CACHE_CONTROL;
}
