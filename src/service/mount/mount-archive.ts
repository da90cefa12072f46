import { createHash } from 'node:crypto';
import { type Dataset, MICROS_PER_SECOND, type Micros, type StoredFile } from '../../dataset/dataset.js';
import { datasetErrorOf } from '../../dataset/dataset-error.js';
import { ServiceError } from '../../dataset/errors.js';
import { mountedNameOf } from '../../dataset/media.js';
import { type DatasetView, WHOLE_ACCOUNT } from '../dataset-view.js';
import type { DatasetKey, DatasetService } from '../datasets.js';
import { type Downloads, type HashedFile, hashedFileOf } from '../download/downloads.js';
import type { ArchivedFile } from '../download/read-ahead.js';
import { tarOf } from '../download/tar.js';
import type { HistoryService } from '../history/history-service.js';
import { manifestOf, type RevisionManifest } from '../history/revision-manifests.js';
import { filesToMount, recordedDatasetsOf } from './folder-plans.js';
import { statesUnknown, type WantedState } from './mount-source.js';
import { RECORD_NAME, type RecordedDataset, recordText } from './mounted-folder.js';

interface ReadyState extends RevisionManifest {
  readonly digest: string;
}

/** A READY state of a dataset, and of its linked datasets at the same moment, as the folders that a mount makes. */
export interface MountArchive {
  readonly state: ReadyState;
  readonly folders: readonly ArchivedFolder[];
}

/** A dataset, whose name is that of the folder, and the files that are mounted. */
interface ArchivedFolder {
  readonly dataset: Dataset;
  readonly digest: string;
  readonly files: readonly StoredFile[];
}

/** An entry of the archive. */
type Entry = FileEntry | RecordEntry;

/** A file of a folder. Its name in the archive is made when it is read, since an archive holds its entries until it is sent. */
class FileEntry implements ArchivedFile {
  readonly file: HashedFile;
  readonly #folder: ArchivedFolder['dataset'];

  constructor(folder: ArchivedFolder['dataset'], file: HashedFile) {
    this.file = file;
    this.#folder = folder;
  }

  get id(): string {
    return this.file.id;
  }

  get filename(): string {
    return `${this.#folder.name}/${mountedNameOf(this.file.filename)}`;
  }

  get upload(): ArchivedFile['upload'] {
    return { sizeBytes: this.file.upload.sizeBytes, finalizedAt: modifiedAt(this.#folder) };
  }
}

/** The record of a mount. */
interface RecordEntry extends ArchivedFile {
  readonly parts: () => Iterable<Buffer>;
}

/**
 * How long before the creation of a dataset its files in an archive were modified. Those of one digest may have been uploaded at
 * different times. `mount.sh` takes files that are newer for changed ones: with busybox in whole seconds, and by another clock.
 */
const BEFORE_CREATION = 24 * 60 * 60 * MICROS_PER_SECOND;

/** Makes READY datasets into tar archives and checksum lists for machines that have no Node. */
export class MountArchives {
  readonly #services: { datasets: DatasetService; history: HistoryService; downloads: Downloads };

  constructor(services: { datasets: DatasetService; history: HistoryService; downloads: Downloads }) {
    this.#services = services;
  }

  /**
   * Finds the state that is wanted, with the folders of linked datasets before that of the dataset.
   *
   * @throws ServiceError `not_ready`, `dataset_not_found`, `revision_not_found`; the signal's reason
   */
  async find(key: DatasetKey, wanted: WantedState, signal: AbortSignal): Promise<MountArchive> {
    const state = await this.#stateOf(key, wanted, signal);
    const folders: ArchivedFolder[] = [];
    for (const { dataset, revision, digest } of state.links ?? []) {
      signal.throwIfAborted();
      const found = await this.#services.history.ownManifest({ ...key, id: dataset.id }, revision);
      if (found.digest === undefined || found.digest !== digest) {
        const message = `The files of "${dataset.name}" with which "${state.dataset.name}" was READY are no longer intact. Try again.`;
        throw new ServiceError('not_ready', message);
      }
      // Its name may have changed since.
      folders.push(folderOf({ dataset, digest, files: found.files }));
    }
    return { state, folders: [...folders, folderOf(state)] };
  }

  /**
   * A tar archive of the folders, each with the record of the mount as its last entry: an incomplete folder has none. Its bytes
   * are the same whenever it is made of the same digest. The stream breaks within a file that does not have its SHA-256.
   *
   * @returns `sha256` of the records, which name all that the archive has
   */
  tar({ state, folders }: MountArchive): { sha256: string } & ReturnType<typeof tarOf> {
    const together = togetherOf(state);
    const hash = createHash('sha256');
    const entries: Entry[] = [];
    for (const { dataset, digest, files } of folders) {
      const own = files.map((file) => new FileEntry(dataset, hashedFileOf(file)));
      for (const entry of own) entries.push(entry);
      const parts = () => recordOf({ dataset, digest, together }, own);
      let sizeBytes = 0;
      for (const part of parts()) {
        hash.update(part);
        sizeBytes += part.length;
      }
      const upload = { sizeBytes, finalizedAt: modifiedAt(dataset) };
      entries.push({ id: '', filename: `${dataset.name}/${RECORD_NAME}`, upload, parts });
    }
    const { downloads } = this.#services;
    // Not from `state` when a file is read: the archive would hold all that is known of its files until it is sent.
    const { accountId } = state.dataset;
    const read = async (entry: Entry) =>
      entry instanceof FileEntry
        ? downloads.archived(accountId, entry.file, () => downloads.intactBytes(entry.file))
        : entry.parts();
    return { sha256: hash.digest('hex'), ...tarOf(entries, read) };
  }

  async #stateOf(key: DatasetKey, { digest, revision }: WantedState, signal: AbortSignal): Promise<ReadyState> {
    const { datasets, history } = this.#services;
    if (digest !== undefined) {
      const wanted = digest.toLowerCase();
      return { ...(await history.manifestWithDigest(key, wanted, signal)), digest: wanted };
    }
    if (revision !== undefined) return readyRevision(await history.manifest(key, revision, signal));
    const view = await datasets.view(key, WHOLE_ACCOUNT, { withoutWarnings: true });
    if (view.digest === undefined) throw notReady(view);
    return { ...manifestOf(view), digest: view.digest };
  }
}

/** @throws ServiceError `not_ready` */
function readyRevision(manifest: RevisionManifest): ReadyState {
  const { dataset, revision, digest } = manifest;
  if (digest === undefined) {
    const message = `Revision ${revision} of "${dataset.name}" is not fit to train on, and only a READY one can be mounted.`;
    throw new ServiceError('not_ready', message);
  }
  if (dataset.links.length > 0 && manifest.links === undefined) {
    throw new ServiceError('not_ready', statesUnknown(dataset.name, revision).message);
  }
  return { ...manifest, digest };
}

function togetherOf({ dataset: { id, name }, digest, links = [] }: ReadyState): RecordedDataset[] | undefined {
  const linked = links.map(({ slot, dataset, digest: linkedDigest = '' }) => {
    return { slot, datasetId: dataset.id, name: dataset.name, digest: linkedDigest };
  });
  return recordedDatasetsOf({ datasetId: id, name, digest, links: linked });
}

/**
 * Makes the lines that `sha256sum -c` reads, with the names of the archive. It escapes backslashes and line breaks only, which no
 * name has (`parseFilename`).
 */
export function checksumsOf({ folders }: MountArchive): string {
  const lines = folders.flatMap(({ dataset, files }) =>
    files.map(({ filename, upload }) => `${upload.sha256}  ${dataset.name}/${mountedNameOf(filename)}\n`),
  );
  return lines.join('');
}

function notReady({ dataset, status, findings }: DatasetView): ServiceError {
  const reasons: Record<string, string> = {
    DRAFT: 'It has no files yet.',
    UPLOADING: 'Its uploads or their checks are not complete. Try again later, or name an earlier revision or digest.',
    FAILED: datasetErrorOf(dataset, findings.errors).message,
  };
  const message = `"${dataset.name}" is ${status}, and only a READY dataset can be mounted. ${reasons[status] ?? ''}`;
  return new ServiceError('not_ready', message);
}

function folderOf({ dataset, digest, files }: Pick<ReadyState, 'dataset' | 'digest' | 'files'>): ArchivedFolder {
  return { dataset, digest, files: filesToMount({ role: dataset.role, files }) };
}

/** The record of a mount. Of what differs between two downloads of one digest (time, version, boot), it has nothing. */
function recordOf(
  {
    dataset,
    digest,
    together,
  }: Pick<ArchivedFolder, 'dataset' | 'digest'> & { together: RecordedDataset[] | undefined },
  entries: readonly FileEntry[],
): Iterable<Buffer> {
  const mtimeMs = Math.floor(modifiedAt(dataset) / MICROS_PER_SECOND) * 1000;
  const record = {
    dataset_id: dataset.id,
    name: dataset.name,
    digest,
    ...(together !== undefined && { mounted_with: together }),
    source: 'tar',
    boot_id: null,
  };
  const files = entries.map(({ file: { filename, upload } }) => ({
    filename,
    mounted_name: mountedNameOf(filename),
    sha256: upload.sha256,
    size_bytes: upload.sizeBytes,
    mtime_ms: mtimeMs,
  }));
  return [Buffer.from(recordText({ ...record, files }))];
}

/** When the files of a dataset in an archive were modified. */
function modifiedAt({ createdAt }: Pick<Dataset, 'createdAt'>): Micros {
  return createdAt - BEFORE_CREATION;
}
