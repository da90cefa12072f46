import type { Micros, StatusRules, StoredFile } from '../../dataset/dataset.js';
import { digestOf, digestWithLinks } from '../../dataset/digest.js';
import { datasetStatusOf } from '../../dataset/pairs/linked-status.js';
import { BlobChanged, type BlobStore, blobKeyOf } from '../../storage/blobs/blobs.js';
import type { Catalog } from '../../storage/catalog/catalog.js';
import { storedFilesIn } from '../dataset-view.js';
import { type DatasetKey, datasetNotFound } from '../datasets.js';
import { type RevisionManifest, RevisionManifests } from '../history/revision-manifests.js';
import {
  DatasetChanged,
  digestNotKept,
  MountError,
  type MountFile,
  type MountManifest,
  type MountSource,
  type RangeResponse,
  stateOfLink,
  statesUnknown,
  type WantedState,
} from './mount-source.js';

/** A catalog with its blobs. */
interface Installation {
  readonly catalog: Catalog;
  readonly dataFolder: string;
  readonly blobs: Pick<BlobStore, 'pathOf' | 'read'>;
  readonly rules: StatusRules;
  readonly now: () => Micros;
}

/** A file of a manifest that was read from a catalog. */
interface CatalogFile extends MountFile {
  readonly stored: StoredFile;
}

/** A dataset of a catalog that this process can read, also while a server uses it. */
export function catalogSource(installation: Installation, key: DatasetKey, wanted: WantedState = {}): MountSource {
  const { dataFolder, blobs } = installation;
  const { accountId } = key;
  const source = {
    name: dataFolder,
    manifest: (signal: AbortSignal) => catalogManifest(installation, key, { wanted, signal }),
    linked: (link: MountManifest['links'][number]) =>
      catalogSource(installation, { accountId, id: link.datasetId }, stateOfLink(link)),
  };
  const pathOf = blobs.pathOf?.bind(blobs);
  if (pathOf !== undefined) {
    return {
      kind: 'data-folder',
      ...source,
      pathOf: (file) => pathOf(blobKeyOf(fileOfCatalog(file))),
      missing: (file) => missingError(installation, fileOfCatalog(file)),
    };
  }
  const read = async (file: MountFile, from: number, signal: AbortSignal): Promise<RangeResponse> => {
    const stored = fileOfCatalog(file);
    const range = { start: from, end: file.sizeBytes };
    const version = stored.upload.blobVersion;
    const body = await blobs.read(blobKeyOf(stored), { range, version, signal }).catch((error) => {
      if (!(error instanceof BlobChanged)) throw error;
      const message = `The stored bytes of ${file.filename} were replaced after they were checked. Upload it again.`;
      throw new MountError('damaged', message);
    });
    if (body === undefined) throw await missingError(installation, stored);
    return { from, body };
  };
  return { kind: 'http', ...source, read };
}

/** The stored file of a file that the manifest of a `catalogSource` names. */
export function fileOfCatalog(file: MountFile): StoredFile {
  return (file as CatalogFile).stored;
}

/** @throws MountError; ServiceError `revision_not_found`; the signal's reason */
async function catalogManifest(
  { catalog, rules, now }: Installation,
  key: DatasetKey,
  { wanted, signal }: { wanted: WantedState; signal: AbortSignal },
): Promise<MountManifest> {
  const latest = await latestManifest(catalog, key, { now: now(), rules });
  const manifests = new RevisionManifests(catalog);
  const found = await wantedManifest(latest, { manifests, wanted, signal });
  const { dataset, revision, status, digest, files, links = [] } = found;
  return {
    datasetId: key.id,
    name: dataset.name,
    role: dataset.role,
    revision: revision || undefined,
    status,
    digest,
    links: links.map(({ slot, dataset: { id, name }, revision: number, digest: linkedDigest }) => {
      return { slot, datasetId: id, name, revision: number || undefined, digest: linkedDigest };
    }),
    files: files.map((stored): CatalogFile => {
      const { sizeBytes, sha256 } = stored.upload;
      return { filename: stored.filename, sizeBytes, sha256, stored };
    }),
  };
}

async function wantedManifest(
  latest: RevisionManifest,
  { manifests, wanted, signal }: { manifests: RevisionManifests; wanted: WantedState; signal: AbortSignal },
): Promise<RevisionManifest> {
  const { dataset } = latest;
  const { revision, digest } = wanted;
  // While the latest revision is changed, or waits for an upload, its files are as they were recorded.
  if (revision !== undefined && (revision !== latest.revision || latest.status !== 'READY')) {
    const earlier = await manifests.manifest(dataset, revision, signal);
    const isUnknown = earlier.digest !== undefined && dataset.links.length > 0 && earlier.links === undefined;
    if (isUnknown) throw statesUnknown(dataset.name, revision);
    return earlier;
  }
  if (digest === undefined || digest === latest.digest) return latest;
  return manifests.withDigest(dataset, digest, signal).catch((error) => {
    throw digestNotKept(error) ?? error;
  });
}

async function latestManifest(
  catalog: Catalog,
  key: DatasetKey,
  { now, rules }: { now: Micros; rules: StatusRules },
): Promise<RevisionManifest> {
  const found = await catalog.contents(key);
  if (found === undefined) throw datasetNotFound(key.id);
  const { dataset, pairs } = found;
  const status = datasetStatusOf(dataset, now, rules);
  const files = storedFilesIn(found.files);
  const revision = dataset.revision;
  const isReady = status === 'READY';
  const links = dataset.links.map((link, i) => {
    return { ...link, revision: link.dataset.revision, digest: isReady ? pairs[i]?.digest : undefined };
  });
  const ofLinks = links.map(({ slot, digest = '' }) => ({ slot, digest }));
  const digest = isReady ? digestWithLinks(digestOf(files), ofLinks) : undefined;
  return { dataset, revision, status, digest, files, links };
}

/** The error for a file without bytes. One that was removed has lost its row before its bytes. */
async function missingError({ catalog }: Installation, { id, filename }: StoredFile): Promise<Error> {
  const isNamed = (await catalog.file(id)) !== undefined || (await catalog.revisions.isPast(id));
  if (!isNamed) return new DatasetChanged(`${filename} has been removed from the store`);
  const message = `The bytes of ${JSON.stringify(filename)} disappeared from the store after they were checked. Upload the file again.`;
  return new MountError('damaged', message);
}
