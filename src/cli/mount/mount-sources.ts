import { existsSync } from 'node:fs';
import type { TrainyardClient } from '../../client/client.js';
import { TrainyardError } from '../../client/trainyard-error.js';
import type { Config } from '../../config.js';
import {
  catalogSource,
  DatasetChanged,
  type HttpSource,
  type MountFile,
  type MountSource,
  type RangeResponse,
} from '../../service/mount/mount-source.js';
import { DiskBlobs } from '../../storage/blobs/disk/disk-blobs.js';
import { dataFolderPaths } from '../../storage/data-folder.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';

/** A dataset of a service, read over HTTP. */
export function httpSource(client: TrainyardClient, { id, url }: { id: string; url: string }): HttpSource {
  return {
    kind: 'http',
    name: url,
    manifest: async (signal) => {
      const manifest = await client.manifest(id, { signal }).catch(async (error) => {
        if (!(error instanceof TrainyardError) || error.status !== 404) throw error;
        // Throws another 404 if the dataset is deleted.
        await client.status(id, { signal });
        const message = `${url} offers no downloads: it has the Trainer dataset API only.`;
        throw new CommandError(EXIT.unavailable, message, { cause: error });
      });
      const { dataset_id: datasetId, name, status, digest, files } = manifest;
      return {
        datasetId,
        name,
        status,
        digest,
        files: files.map(({ filename, size_bytes: sizeBytes, sha256 }) => ({ filename, sizeBytes, sha256 })),
      };
    },
    read: async (file, from, signal) => {
      const response = await client.file(id, file.filename, { from, signal }).catch((error) => {
        const isRemoved = error instanceof TrainyardError && (error.status === 404 || error.status === 416);
        throw isRemoved ? new DatasetChanged(`${file.filename} has been removed`, { cause: error }) : error;
      });
      return rangeResponseOf(response, file);
    },
    readTogether: async (files, signal) => {
      const names = files.map(({ filename }) => filename);
      const response = await client.archive(id, names, { signal }).catch((error) => {
        // The service has no archives, or one of the files was removed. Single downloads tell the two cases apart.
        if (error instanceof TrainyardError && (error.status === 404 || error.status === 405)) return undefined;
        throw error;
      });
      return response && bytesOf(response);
    },
  };
}

async function rangeResponseOf(response: Response, { filename, sha256 }: MountFile): Promise<RangeResponse> {
  // The service's ETag is the SHA-256. Another kind of ETag comes from a proxy, and does not mean that the file changed.
  const etag = /^(?:W\/)?"([0-9a-f]{64})"$/.exec(response.headers.get('etag') ?? '')?.[1];
  if (etag !== undefined && etag !== sha256) {
    await response.body?.cancel();
    throw new DatasetChanged(`${filename} was replaced`);
  }
  const start = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
  return { from: response.status === 206 ? Number(start) : 0, body: bytesOf(response) };
}

/** Keeps a reference to the response: `fetch` cancels the body when the response is garbage-collected. */
async function* bytesOf(response: Response): AsyncGenerator<Uint8Array> {
  yield* response.body ?? [];
}

/**
 * Opens the datasets of a data folder on this machine, also while a server uses it.
 *
 * @throws CommandError with 66 if the folder has no catalog
 */
export async function openLocal(config: Config) {
  const paths = dataFolderPaths(config.dataFolder);
  if (config.databaseUrl === undefined && !existsSync(paths.catalog)) {
    throw new CommandError(EXIT.noInput, `${config.dataFolder} holds no datasets: it has no catalog.sqlite.`);
  }
  if (config.blobs.kind !== 'disk') {
    const message = '--data needs files on this machine, but these are in a bucket. Leave out --data.';
    throw new CommandError(EXIT.usage, message);
  }
  // Imported late, so that other commands start without loading the database code.
  const { openCatalog } = await import('../../storage/catalog/open-catalog.js');
  const { catalog, now, close } = await openCatalog(config);
  const blobs = DiskBlobs.readOnly(paths.blobs);
  const { dataFolder, rules } = config;
  return {
    /** @throws CommandError with 66 if no dataset has that name or id, 65 if datasets of several accounts do */
    find: async (nameOrId: string): Promise<MountSource> => {
      const all = await catalog.datasets({});
      const named = all.filter(({ name }) => name === nameOrId.normalize('NFC'));
      const [found, other] = all.filter(({ id }) => id === nameOrId).concat(named);
      if (found === undefined) {
        throw new CommandError(EXIT.noInput, `there is no dataset "${nameOrId}" in ${dataFolder}.`);
      }
      if (found.id !== nameOrId && other !== undefined) {
        const ids = named.map(({ id }) => id).join(', ');
        const message = `several accounts have a dataset "${nameOrId}". Use an id instead of the name: ${ids}`;
        throw new CommandError(EXIT.dataError, message);
      }
      return catalogSource({ catalog, dataFolder, blobs, rules, now }, { accountId: found.accountId, id: found.id });
    },
    close,
  };
}
