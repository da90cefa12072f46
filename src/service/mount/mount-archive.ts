import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { MICROS_PER_SECOND, type Micros, type StoredFile } from '../../dataset/dataset.js';
import { datasetErrorOf } from '../../dataset/dataset-error.js';
import { ServiceError } from '../../dataset/errors.js';
import { mountedNameOf } from '../../dataset/media.js';
import { mapInPieces, type Pieces } from '../../pieces.js';
import { type DatasetView, WHOLE_ACCOUNT } from '../dataset-view.js';
import type { DatasetKey, DatasetService } from '../datasets.js';
import type { Downloads } from '../download/downloads.js';
import type { ArchivedFile } from '../download/read-ahead.js';
import { tarOf } from '../download/tar.js';
import type { HistoryService } from '../history/history-service.js';
import { manifestOf, type RevisionManifest, type UseManifest } from '../history/revision-manifests.js';
import { filesToMount, recordedDatasetsOf } from './folder-plans.js';
import { statesUnknown, type WantedState } from './mount-source.js';
import { RECORD_NAME, type RecordedDataset, recordInPieces } from './mounted-folder.js';

interface ReadyState extends RevisionManifest {
  readonly digest: string;
}

/** A READY state of a dataset, and of its linked datasets at the same moment, as the folders that a mount makes. */
export interface MountArchive {
  readonly state: ReadyState;
  readonly folders: readonly ArchivedFolder[];
}

interface ArchivedFolder {
  /** The name of the dataset, and of the folder. */
  readonly name: string;
  readonly files: readonly StoredFile[];
  /** The content of the record of the mount. */
  readonly record: Buffer;
  /** In microseconds since 1970, for all of its files. */
  readonly modifiedAt: Micros;
}

/** An entry of the archive. `stored` is missing in the record of a mount. */
interface Entry extends ArchivedFile {
  readonly bytes?: Buffer;
  readonly stored?: StoredFile;
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
    const { state, own } = await this.#withState(key, wanted, signal, async (found, pieces) => {
      return { state: found, own: await folderOf(found, togetherOf(found), pieces) };
    });
    const linked: ArchivedFolder[] = [];
    for (const { dataset, revision, digest } of state.links ?? []) {
      const linkedKey = { ...key, id: dataset.id };
      const folder = await this.#services.history.manifest(linkedKey, revision, signal, (found, pieces) => {
        if (found.digest === undefined || found.digest !== digest) {
          const message = `The files of "${dataset.name}" with which "${state.dataset.name}" was READY are no longer intact. Try again.`;
          throw new ServiceError('not_ready', message);
        }
        // Its name may have changed since.
        return folderOf({ ...found, dataset, digest }, togetherOf(state), pieces);
      });
      linked.push(folder);
    }
    return { state, folders: [...linked, own] };
  }

  /**
   * A tar archive of the folders, each with the record of the mount as its last entry: an incomplete folder has none. Its bytes
   * are the same whenever it is made of the same digest. The stream breaks within a file that does not have its SHA-256.
   *
   * @returns `sha256` of the records, which name all that the archive has
   */
  tar({ folders }: MountArchive): { sha256: string } & ReturnType<typeof tarOf> {
    const entries = folders.flatMap(({ name, files, record, modifiedAt: finalizedAt }) => {
      const stored = files.map((file): Entry => {
        const upload = { sizeBytes: file.upload.sizeBytes, finalizedAt };
        return { id: file.id, filename: `${name}/${mountedNameOf(file.filename)}`, upload, stored: file };
      });
      const upload = { sizeBytes: record.length, finalizedAt };
      return [...stored, { id: '', filename: `${name}/${RECORD_NAME}`, upload, bytes: record }];
    });
    const read = async ({ stored, bytes }: Entry) =>
      stored === undefined ? Readable.from([bytes]) : this.#services.downloads.intactBytes(stored);
    const hash = createHash('sha256');
    for (const { record } of folders) hash.update(record);
    return { sha256: hash.digest('hex'), ...tarOf(entries, read) };
  }

  async #withState<T>(
    key: DatasetKey,
    { digest, revision }: WantedState,
    signal: AbortSignal,
    use: (state: ReadyState, pieces: Pieces) => Promise<T>,
  ): Promise<T> {
    const { datasets, history } = this.#services;
    if (digest !== undefined) {
      const wanted = digest.toLowerCase();
      const useFound: UseManifest<T> = (found, pieces) => use({ ...found, digest: wanted }, pieces);
      return history.manifestWithDigest(key, wanted, signal, useFound);
    }
    if (revision !== undefined) {
      return history.manifest(key, revision, signal, (found, pieces) => use(readyRevision(found), pieces));
    }
    return datasets.viewed(key, WHOLE_ACCOUNT, (view, pieces) => {
      if (view.digest === undefined) throw notReady(view);
      return use({ ...manifestOf(view), digest: view.digest }, pieces);
    });
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
 * The lines that `sha256sum -c` reads, with the names of the archive. It escapes backslashes and line breaks only, which no
 * name has (`parseFilename`).
 */
export function checksumsOf({ folders }: MountArchive): string {
  const lines = folders.flatMap(({ name, files }) => {
    return files.map(({ filename, upload }) => `${upload.sha256}  ${name}/${mountedNameOf(filename)}\n`);
  });
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

/** Of what differs between two downloads of one digest (time, version, boot), the record has nothing. */
async function folderOf(
  { dataset, digest, files: all }: ReadyState,
  together: RecordedDataset[] | undefined,
  pieces: Pieces,
): Promise<ArchivedFolder> {
  const { id, name, role } = dataset;
  const modifiedAt = dataset.createdAt - BEFORE_CREATION;
  const files = filesToMount({ role, files: all });
  const mtimeMs = Math.floor(modifiedAt / 1_000_000) * 1000;
  const record = {
    dataset_id: id,
    name,
    digest,
    ...(together !== undefined && { mounted_with: together }),
    source: 'tar',
    boot_id: null,
    files: await mapInPieces(files, pieces, ({ filename, upload }) => ({
      filename,
      mounted_name: mountedNameOf(filename),
      sha256: upload.sha256,
      size_bytes: upload.sizeBytes,
      mtime_ms: mtimeMs,
    })),
  };
  return { name, files, record: await recordInPieces(record, pieces), modifiedAt };
}
