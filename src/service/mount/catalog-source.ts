import type { StoredFile } from '../../dataset/dataset.js';
import { BlobChanged, blobKeyOf, type BlobStore } from '../../storage/blobs/blobs.js';
import type { Catalog } from '../../storage/catalog/catalog.js';
import type { ManifestFile, ManifestLink, WantedState } from '../manifest.js';
import type { DatasetKey } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import { HistoryService } from '../history.js';
import { DatasetChanged, MountError, type MountSource } from './mount-source.js';

interface Installation extends Pick<ServiceDependencies, 'catalog' | 'rules' | 'now'> {
  readonly dataFolder: string;
  readonly blobs: Pick<BlobStore, 'pathOf' | 'read'>;
}

/** A dataset of a catalog that a server may be using. */
export function catalogSource(installation: Installation, key: DatasetKey): MountSource {
  const { catalog, dataFolder: name, blobs } = installation;
  const history = new HistoryService(installation);
  const source = {
    name,
    manifest: (wanted: WantedState, signal: AbortSignal) => history.manifest(key, wanted, { signal }),
    linked: ({ id }: ManifestLink) => catalogSource(installation, { ...key, id }),
  };
  const pathOf = blobs.pathOf?.bind(blobs);
  if (pathOf !== undefined) {
    const missing = (file: ManifestFile) => missingError(catalog, fileOfCatalog(file));
    return { kind: 'local', ...source, pathOf: (file) => pathOf(blobKeyOf(fileOfCatalog(file))), missing };
  }
  return {
    kind: 'remote',
    ...source,
    read: async (file, from, signal) => {
      const stored = fileOfCatalog(file);
      const range = { start: from, end: stored.upload.sizeBytes };
      const options = { range, version: stored.upload.blobVersion, signal };
      const body = await blobs.read(blobKeyOf(stored), options).catch((error) => {
        if (!(error instanceof BlobChanged)) throw error;
        const message = `The stored bytes of ${file.filename} were replaced after they were checked. Upload it again.`;
        throw new MountError('damaged', message);
      });
      if (body === undefined) throw await missingError(catalog, stored);
      return { from, body };
    },
    readTogether: async function* () {},
  };
}

/** The stored file of a file in a manifest of a `catalogSource`. */
export function fileOfCatalog(file: ManifestFile): StoredFile {
  return file as StoredFile;
}

/** The error for a file without bytes. A removed file loses its row before its bytes. */
async function missingError(catalog: Catalog, { id, filename }: StoredFile): Promise<Error> {
  const isNamed = (await catalog.file(id)) !== undefined || (await catalog.revisions.isPast(id));
  if (!isNamed) return new DatasetChanged(`${filename} has been removed from the store`);
  const message = `The bytes of ${JSON.stringify(filename)} disappeared from the store after they were checked. Upload the file again.`;
  return new MountError('damaged', message);
}
