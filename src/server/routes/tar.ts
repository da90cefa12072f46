import contentDisposition from 'content-disposition';
import { BASE_PATH } from '../../api/limits.js';
import { MICROS_PER_SECOND } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { bytesOf } from '../../service/manifest.js';
import { slotText } from '../../dataset/pairs/roles.js';
import type { ServiceDependencies } from '../../service/dependencies.js';
import type { Downloads } from '../../service/download/downloads.js';
import type { Quota } from '../../storage/limits.js';
import type { ReadLinks } from '../../service/signed-links.js';
import { checksumsOf, findMountArchive, mountArchiveTar } from '../../service/mount/mount-archive.js';
import { closedSignal, onceClosed } from '../connections.js';
import type { Handlers } from '../register-routes.js';
import { manifestLinksToWire, timeOf } from '../wire.js';
import { sendBytes } from './send-bytes.js';
import { baseUrlOf } from './uploads.js';

interface TarServices {
  readonly core: ServiceDependencies;
  readonly downloads: Downloads;
  readonly readLinks: ReadLinks;
  readonly filesInFlight: Quota;
  /** `undefined`: the host that each client used. */
  readonly publicUrl: string | undefined;
  readonly now: () => number;
}

/** For machines that mount a dataset without Node. */
export function tarHandlers(services: TarServices) {
  const { core, downloads, readLinks, filesInFlight, publicUrl, now } = services;

  /** @throws ServiceError as `findMountArchive`; `dataset_not_found` for a linked dataset that the token is not bound to */
  const archiveFor = async ({ key, query, request, reply }: Parameters<Handlers['tar.read']>[0]) => {
    const wanted = { ...query, digest: query.digest?.toLowerCase() };
    const archive = await findMountArchive(core, key, { wanted, signal: closedSignal(reply) });
    const bound = request.grant?.datasetIds ?? undefined;
    const other = archive.dataset.links.find(({ id }) => bound?.includes(id) === false);
    if (other === undefined) return archive;
    const message = `"${archive.dataset.name}" comes with its ${slotText(other.slot)}, to which this token is not bound. Use a token that is bound to all of its datasets.`;
    throw new ServiceError('dataset_not_found', message);
  };

  return {
    'tar.link': async (input) => {
      const { key, query, request } = input;
      const { grant } = request;
      if (grant === undefined) throw new Error('No link leads to another.');
      const { dataset, files } = await archiveFor(input);
      const { id, name, revision, digest, links } = dataset;
      const times = { now: now(), latest: now() + query.seconds * MICROS_PER_SECOND, until: grant.expiresAt };
      const link = readLinks.linkFor(key, { tar: { digest, token: grant.tokenId }, ...times });
      const base = baseUrlOf(request, publicUrl);
      const url = `${base}${BASE_PATH}/${id}`;
      return {
        url: `${url}/tar?${link.query}`,
        sha256sums_url: `${url}/sha256sums?${link.query}`,
        script_url: `${base}/mount.sh`,
        expires_at: timeOf(link.expiresAt),
        ...{ dataset_id: id, name, revision, digest },
        ...(links.length > 0 && { links: manifestLinksToWire(links) }),
        files: files.length,
        bytes: bytesOf(files),
      };
    },
    'tar.read': async (input) => {
      const { accountId, request, reply } = input;
      const archive = await archiveFor(input);
      onceClosed(reply.raw, filesInFlight.hold(accountId, archive.files.length));
      const { sizeBytes, sha256, open } = mountArchiveTar(archive, downloads);
      const filename = `${archive.dataset.name}.tar`;
      reply.headers({ 'cache-control': 'private, no-cache', 'content-disposition': contentDisposition(filename) });
      const content = { name: filename, etag: `"${sha256}"`, sizeBytes, contentType: 'application/x-tar' };
      // Files are checked at their end, so a range that ends within one would be unchecked.
      return sendBytes(request, reply, { ...content, endsWhole: true, open: (range) => open(range?.start) });
    },
    'tar.checksums': async (input) => {
      const lines = checksumsOf(await archiveFor(input));
      return input.reply.type('text/plain; charset=utf-8').header('cache-control', 'private, no-cache').send(lines);
    },
  } satisfies Partial<Handlers>;
}
