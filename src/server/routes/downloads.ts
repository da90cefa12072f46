import contentDisposition from 'content-disposition';
import type { StoredFile } from '../../dataset/dataset.js';
import type { DatasetService } from '../../service/datasets.js';
import type { Downloads } from '../../service/download/downloads.js';
import type { ReadLinks } from '../../service/signed-links.js';
import { tarOf } from '../../service/download/tar.js';
import type { Thumbnails } from '../../service/download/thumbnails.js';
import { zipOf } from '../../service/download/zip.js';
import { disconnectSignal } from '../connections/disconnect.js';
import type { FilesInFlight } from '../limits.js';
import type { Handlers } from '../register-routes.js';
import { fileToWire, timeOf } from '../to-wire.js';
import { etagOf } from '../write-headers.js';
import { matches, noBytes, sendBytes, sendNotModified } from './send-bytes.js';
import { listJson, type SendJson } from './text-lists.js';

/** Files can be replaced at any time, so caches revalidate by ETag. */
const CACHE_CONTROL = 'private, no-cache';

/** With the SHA-256 in its URL, a response never changes. */
const CACHE_IMMUTABLE = 'private, max-age=31536000, immutable';

export interface DownloadServices {
  readonly datasets: DatasetService;
  readonly downloads: Downloads;
  readonly thumbnails: Thumbnails;
  readonly readLinks: ReadLinks;
  readonly filesInFlight: FilesInFlight;
  readonly sendJson: SendJson;
  readonly now: () => number;
}

type DownloadRoute =
  | `file.${'read' | 'thumbnail'}`
  | `files.${'list' | 'archive' | 'zip' | 'download-link'}`
  | 'captions.read';

export function downloadHandlers(services: DownloadServices): Handlers<DownloadRoute> {
  const { datasets, downloads, thumbnails, readLinks, filesInFlight, sendJson, now } = services;
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
      const signal = disconnectSignal(reply);
      const file = await downloads.file({ ...key, revision: query.revision }, params.filename);
      const etag = `"${file.upload.sha256}-thumbnail"`;
      reply.headers({ etag, 'cache-control': cacheControlOf(file, query.sha256) });
      if (matches(request.headers['if-none-match'], etag)) return sendNotModified(reply);
      return reply.type('image/webp').send(await thumbnails.read(file, { accountId, signal }));
    },
    'files.archive': async ({ key, query, body, accountId, reply }) => {
      const files = await downloads.files({ ...key, revision: query.revision }, body.filenames);
      filesInFlight.admit(accountId, files.length, reply.raw);
      const archive = tarOf(files, (file) => downloads.archived(accountId, file));
      reply.headers({ 'cache-control': CACHE_CONTROL, 'content-length': archive.sizeBytes });
      return reply.type('application/x-tar').send(archive.open());
    },
    'files.zip': async ({ key, query: { revision }, accountId, request, reply }) => {
      const { name, files } = await downloads.all({ ...key, revision });
      filesInFlight.admit(accountId, files.length, reply.raw);
      const zip = zipOf(files, (file) => downloads.archived(accountId, file));
      const filename = revision === undefined ? `${name}.zip` : `${name} (revision ${revision}).zip`;
      reply.headers({
        'cache-control': CACHE_CONTROL,
        'content-disposition': contentDisposition(filename),
        'content-length': zip.sizeBytes,
      });
      return reply.type('application/zip').send(request.method === 'HEAD' ? noBytes() : zip.body);
    },
    'captions.read': async ({ key, query, body, accountId, reply }) => {
      const files = await downloads.captions({ ...key, revision: query.revision }, body.filenames);
      filesInFlight.admit(accountId, files.length, reply.raw);
      const elements = listJson(
        files,
        ({ upload }) => upload.sizeBytes,
        async (page) => {
          const texts = await downloads.texts(accountId, page);
          return page.map((file) => {
            const { sha256 } = file.upload;
            return { filename: file.filename, sha256, etag: etagOf(file.upload), text: texts.get(file) ?? null };
          });
        },
      );
      const json = async function* () {
        // The first texts may fail, and were read before.
        let before = '{"captions":[';
        for await (const page of elements) {
          yield Buffer.concat([Buffer.from(before), page]);
          before = '';
        }
        yield Buffer.from(`${before}]}`);
      };
      return sendJson(reply, json());
    },
  };
}

function cacheControlOf({ upload }: StoredFile, requestedSha256: string | undefined): string {
  return requestedSha256 === upload.sha256 ? CACHE_IMMUTABLE : CACHE_CONTROL;
}
