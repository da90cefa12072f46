import type { StoredFile } from '../../dataset/dataset.js';
import { BlobChanged, blobKeyOf, type BlobStore } from '../../storage/blobs/blobs.js';
import type { Catalog } from '../../storage/catalog/catalog.js';
import { type DatasetKey, datasetNotFound, datasetViewOf, WHOLE_ACCOUNT } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import { manifestAt, manifestOf, manifestWithDigest, type RevisionManifest } from '../history.js';
import {
  DatasetChanged,
  MountError,
  type MountFile,
  type MountLink,
  type MountManifest,
  type MountSource,
  type WantedState,
} from './mount-source.js';

interface Installation extends Pick<ServiceDependencies, 'catalog' | 'rules' | 'now'> {
  readonly dataFolder: string;
  readonly blobs: Pick<BlobStore, 'pathOf' | 'read'>;
}

interface CatalogFile extends MountFile {
  readonly stored: StoredFile;
}

/** A dataset of a catalog that a server may be using. */
export function catalogSource(installation: Installation, key: DatasetKey): MountSource {
  const { catalog, dataFolder: name, blobs } = installation;
  const source = {
    name,
    manifest: async (wanted: WantedState, signal: AbortSignal) =>
      toMount(await manifestIn(installation, key, { wanted, signal })),
    linked: ({ datasetId }: MountLink) => catalogSource(installation, { ...key, id: datasetId }),
  };
  const pathOf = blobs.pathOf?.bind(blobs);
  if (pathOf !== undefined) {
    const missing = (file: MountFile) => missingError(catalog, fileOfCatalog(file));
    return { kind: 'local', ...source, pathOf: (file) => pathOf(blobKeyOf(fileOfCatalog(file))), missing };
  }
  return {
    kind: 'remote',
    ...source,
    read: async (file, from, signal) => {
      const stored = fileOfCatalog(file);
      const range = { start: from, end: file.sizeBytes };
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
export function fileOfCatalog(file: MountFile): StoredFile {
  return (file as CatalogFile).stored;
}

/** @throws ServiceError `dataset_not_found`, `revision_not_found`; the signal's reason */
async function manifestIn(
  installation: Installation,
  key: DatasetKey,
  { wanted: { revision, digest }, signal }: { wanted: WantedState; signal: AbortSignal },
): Promise<RevisionManifest> {
  const { catalog } = installation;
  const contents = await catalog.contents(key);
  if (contents === undefined) throw datasetNotFound(key.id);
  const { dataset } = contents;
  const latest = manifestOf(await datasetViewOf(contents, WHOLE_ACCOUNT, installation));
  // While the latest revision is changed, or waits for an upload, its files are as they were recorded.
  if (revision !== undefined && (revision !== latest.revision || latest.status !== 'READY')) {
    return manifestAt(catalog, dataset, { number: revision, signal });
  }
  if (digest === undefined || digest === latest.digest) return latest;
  return manifestWithDigest(catalog, dataset, { digest, signal });
}

function toMount({ dataset, revision, status, digest, files, links }: RevisionManifest): MountManifest {
  const { id: datasetId, name, role, groups } = dataset;
  return {
    ...{ datasetId, name, role, status, digest, groups },
    revision: revision || undefined,
    links: links?.map((link) => ({
      slot: link.slot,
      datasetId: link.dataset.id,
      name: link.dataset.name,
      revision: link.revision || undefined,
      digest: link.digest,
    })),
    files: files.map((stored): CatalogFile => {
      const { sizeBytes, sha256 } = stored.upload;
      return { filename: stored.filename, sizeBytes, sha256, group: stored.group, stored };
    }),
  };
}

/** The error for a file without bytes. A removed file loses its row before its bytes. */
async function missingError(catalog: Catalog, { id, filename }: StoredFile): Promise<Error> {
  const isNamed = (await catalog.file(id)) !== undefined || (await catalog.revisions.isPast(id));
  if (!isNamed) return new DatasetChanged(`${filename} has been removed from the store`);
  const message = `The bytes of ${JSON.stringify(filename)} disappeared from the store after they were checked. Upload the file again.`;
  return new MountError('damaged', message);
}
