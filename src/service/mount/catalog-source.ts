import type { Micros, StatusRules, StoredFile } from '../../dataset/dataset.js';
import { digestOf, digestWithLinks } from '../../dataset/digest.js';
import { datasetStatusOf } from '../../dataset/pairs/linked-status.js';
import { BlobChanged, type BlobStore, blobKeyOf } from '../../storage/blobs/blobs.js';
import type { Catalog } from '../../storage/catalog/catalog.js';
import { storedFilesIn } from '../dataset-view.js';
import type { DatasetKey } from '../datasets.js';
import { type RevisionManifest, RevisionManifests } from '../history/revision-manifests.js';
import {
  DatasetChanged,
  digestNotKept,
  MountError,
  type MountFile,
  type MountLink,
  type MountManifest,
  type MountSource,
  type RangeResponse,
  stateOfLink,
  statesUnknown,
  type WantedState,
} from './mount-source.js';
import { copyFromFolder } from './staging/copy-from-folder.js';

/** A dataset of a catalog that this process can read, also while a server uses it. */
export function catalogSource(
  installation: {
    readonly catalog: Catalog;
    readonly dataFolder: string;
    readonly blobs: Pick<BlobStore, 'pathOf' | 'read'>;
    readonly rules: StatusRules;
    readonly now: () => Micros;
  },
  { accountId, id: datasetId }: DatasetKey,
  wanted: WantedState = {},
): MountSource {
  const { catalog, dataFolder, blobs, rules, now } = installation;
  const manifests = new RevisionManifests(catalog);
  let byName = new Map<string, StoredFile>();
  const storedFile = ({ filename }: MountFile): StoredFile => {
    const file = byName.get(filename);
    if (file === undefined) throw new DatasetChanged(`${filename} has been removed`);
    return file;
  };
  const latest = async (): Promise<RevisionManifest> => {
    const found = await catalog.contents({ accountId, id: datasetId });
    if (found === undefined) throw new MountError('failed', `Dataset ${datasetId} has been deleted.`);
    const { dataset, pairs } = found;
    const at = now();
    const status = datasetStatusOf(dataset, at, rules);
    const files = storedFilesIn(found.files);
    const filesDigest = status === 'READY' ? digestOf(files) : undefined;
    const links = dataset.links.map((link, i) => {
      return { ...link, revision: link.dataset.revision, digest: filesDigest && pairs[i]?.digest };
    });
    const digest =
      filesDigest &&
      digestWithLinks(
        filesDigest,
        links.map(({ slot, digest = '' }) => ({ slot, digest })),
      );
    return { dataset, revision: dataset.revision, status, digest, files, links };
  };
  const wantedManifest = async (signal: AbortSignal): Promise<RevisionManifest> => {
    const { revision } = wanted;
    const current = await latest();
    const { dataset } = current;
    if (revision !== undefined && revision !== current.revision) {
      const earlier = await manifests.manifest(dataset, revision, signal);
      if (dataset.links.length > 0 && earlier.links === undefined) throw statesUnknown(dataset.name, revision);
      return earlier;
    }
    if (wanted.digest === undefined || wanted.digest === current.digest) return current;
    return manifests.withDigest(dataset, wanted.digest, signal).catch((error) => {
      throw digestNotKept(error) ?? error;
    });
  };
  const manifest = async (signal: AbortSignal): Promise<MountManifest> => {
    const { dataset, revision, status, digest, files, links = [] } = await wantedManifest(signal);
    byName = new Map(files.map((file) => [file.filename, file]));
    return {
      datasetId,
      name: dataset.name,
      role: dataset.role,
      revision: revision || undefined,
      status,
      digest,
      links: links.map(({ slot, dataset: { id, name }, revision: number, digest: linkedDigest }) => {
        return { slot, datasetId: id, name, revision: number || undefined, digest: linkedDigest };
      }),
      files: files.map(({ filename, upload: { sizeBytes, sha256 } }) => ({ filename, sizeBytes, sha256 })),
    };
  };
  /** The error for a file without bytes. One that was removed has lost its row before its bytes. */
  const missing = async (file: MountFile): Promise<Error> => {
    const { id, filename } = storedFile(file);
    const isNamed = (await catalog.file(id)) !== undefined || (await catalog.revisions.isPast(id));
    if (!isNamed) return new DatasetChanged(`${filename} has been removed from the store`);
    const message = `The bytes of ${JSON.stringify(filename)} disappeared from the store after they were checked. Upload the file again.`;
    return new MountError('damaged', message);
  };
  const linked = (link: MountLink): MountSource =>
    catalogSource(installation, { accountId, id: link.datasetId }, stateOfLink(link));
  const pathOf = blobs.pathOf?.bind(blobs);
  if (pathOf !== undefined) {
    const source = { kind: 'data-folder', name: dataFolder, manifest, linked } as const;
    const storedPathOf = (file: MountFile) => pathOf(blobKeyOf(storedFile(file)));
    return {
      ...source,
      copyInto: (folder, files, options) =>
        copyFromFolder(folder, files, { ...options, pathOf: storedPathOf, missing }),
    };
  }
  const read = async (file: MountFile, from: number, signal: AbortSignal): Promise<RangeResponse> => {
    const stored = storedFile(file);
    const range = { start: from, end: file.sizeBytes };
    const version = stored.upload.blobVersion;
    const body = await blobs.read(blobKeyOf(stored), { range, version, signal }).catch((error) => {
      if (!(error instanceof BlobChanged)) throw error;
      const message = `The stored bytes of ${file.filename} were replaced after they were checked. Upload it again.`;
      throw new MountError('damaged', message);
    });
    if (body === undefined) throw await missing(file);
    return { from, body };
  };
  return { kind: 'http', name: dataFolder, manifest, linked, read };
}
