import contentDisposition from 'content-disposition';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { BASE_PATH } from '../../../api/base-path.js';
import { datasetParams, fileHeaders, manifestQuery } from '../../../api/request-schemas.js';
import type { WireManifestLinks } from '../../../api/pair-schemas.js';
import { tarLinkQuery, wireTarLink } from '../../../api/tar-schema.js';
import { MICROS_PER_SECOND } from '../../../dataset/dataset.js';
import { ServiceError } from '../../../dataset/errors.js';
import { slotText } from '../../../dataset/pairs/roles.js';
import { checksumsOf, type MountArchive } from '../../../service/mount/mount-archive.js';
import type { WantedState } from '../../../service/mount/mount-source.js';
import { disconnectSignal } from '../../connections/disconnect.js';
import type { App, RouteContext } from '../../context.js';
import { bytesOf, routesTagged } from '../../docs.js';
import { timeOf } from '../../to-wire.js';
import { baseUrlOf } from '../files.js';
import { NOT_MODIFIED, sendBytes } from './send-bytes.js';

const route = routesTagged('mounting');

const ERRORS = ['not_ready', 'revision_not_found'] as const;
const TYPES = ['application/x-tar'];
const HEADERS = {
  'Content-Length': 'The exact size.',
  'Content-Disposition': 'The name of the dataset.',
  ETag: 'Changes with the bytes.',
  'Accept-Ranges': 'Always `bytes`.',
};

/** The routes for machines that mount a dataset without Node: links, archives and their checksums. */
export function registerTarRoutes(app: App, context: RouteContext): void {
  const { mountArchives, readLinks, filesInFlight, now, publicUrl } = context;

  /** @throws ServiceError as `find`; `dataset_not_found` for a linked dataset that the token is not bound to */
  const archiveFor = async (request: TarRequest, reply: FastifyReply): Promise<MountArchive> => {
    const archive = await mountArchives.find(keyOf(request), request.query, disconnectSignal(reply));
    const bound = request.grant?.datasetIds ?? undefined;
    const other = archive.dataset.links.find(({ datasetId }) => bound?.includes(datasetId) === false);
    if (other === undefined) return archive;
    const message = `"${archive.dataset.name}" comes with its ${slotText(other.slot)}, to which this token is not bound. Use a token that is bound to all of its datasets.`;
    throw new ServiceError('dataset_not_found', message);
  };

  app.get(
    '/:id/tar-link',
    route('A link to the tar archive of a READY state, which needs no token until it expires', {
      params: datasetParams,
      querystring: tarLinkQuery,
      response: { 200: wireTarLink },
      errors: ERRORS,
    }),
    async (request, reply) => {
      const { grant, query } = request;
      if (grant === undefined) throw new Error('No link leads to another.');
      const archive = await archiveFor(request, reply);
      const { datasetId, name, digest, revision = 0, links } = archive.dataset;
      const { files, bytes } = sizeOf(archive);
      const expiresAt = now() + query.seconds * MICROS_PER_SECOND;
      const tar = { digest, token: grant.tokenId };
      const link = readLinks.tarLinkFor(keyOf(request), tar, { expiresAt, until: grant.expiresAt });
      const base = baseUrlOf(request, publicUrl);
      const url = `${base}${BASE_PATH}/${datasetId}`;
      return {
        url: `${url}/tar?${link.query}`,
        sha256sums_url: `${url}/sha256sums?${link.query}`,
        script_url: `${base}/mount.sh`,
        expires_at: timeOf(link.expiresAt),
        ...{ dataset_id: datasetId, name, revision, digest },
        ...(links.length > 0 && { links: linksToWire(links) }),
        files,
        bytes,
      };
    },
  );

  app.get(
    '/:id/tar',
    {
      config: { acceptsTarLink: true, sendsFiles: true },
      ...route('A READY state as a tar archive of the folder that a mount makes', {
        params: datasetParams,
        querystring: manifestQuery,
        headers: fileHeaders,
        response: {
          200: bytesOf('The archive.', { types: TYPES, headers: HEADERS }),
          206: bytesOf('The archive from a byte to its end. Other ranges are ignored.', {
            types: TYPES,
            headers: { ...HEADERS, 'Content-Range': 'The range and the size of the archive: `bytes 100-1233/1234`.' },
          }),
          304: NOT_MODIFIED,
        },
        errors: [...ERRORS, 'range_not_satisfiable'],
      }),
    },
    async (request, reply) => {
      const archive = await archiveFor(request, reply);
      filesInFlight.admit(request.accountId, sizeOf(archive).files, reply.raw);
      const { sizeBytes, sha256, open } = mountArchives.tar(archive);
      const filename = `${archive.dataset.name}.tar`;
      reply.headers({ 'cache-control': 'private, no-cache', 'content-disposition': contentDisposition(filename) });
      const content = { name: filename, etag: `"${sha256}"`, sizeBytes, contentType: 'application/x-tar' };
      // A file is checked at its end, so a range that ends within one would send bytes unchecked.
      return sendBytes(request, reply, { ...content, endsWhole: true, open: (range) => open(range?.start) });
    },
  );

  app.get(
    '/:id/sha256sums',
    {
      config: { acceptsTarLink: true },
      ...route('The SHA-256 of each file of the tar archive, as `sha256sum -c` reads them', {
        params: datasetParams,
        querystring: manifestQuery,
        response: { 200: bytesOf('The lines.', { types: ['text/plain'] }) },
        errors: ERRORS,
      }),
    },
    async (request, reply) => {
      const lines = checksumsOf(await archiveFor(request, reply));
      return reply.type('text/plain; charset=utf-8').header('cache-control', 'private, no-cache').send(lines);
    },
  );
}

function sizeOf({ folders }: MountArchive): { files: number; bytes: number } {
  const files = folders.flatMap(({ parts }) => parts.flatMap((part) => part.files));
  return { files: files.length, bytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}

function linksToWire(links: MountArchive['dataset']['links']): WireManifestLinks {
  const entries = links.map(({ slot, datasetId, name, revision = 0, digest }) => {
    return [slot, { dataset_id: datasetId, name, revision, digest }];
  });
  return Object.fromEntries(entries);
}

type TarRequest = FastifyRequest<{ Params: { id: string }; Querystring: WantedState }>;

function keyOf({ accountId, params }: TarRequest) {
  return { accountId, id: params.id };
}
