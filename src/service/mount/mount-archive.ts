import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { StoredFile } from '../../dataset/dataset.js';
import { datasetErrorOf } from '../../dataset/dataset-error.js';
import { ServiceError } from '../../dataset/errors.js';
import { mountedNameOf } from '../../dataset/media.js';
import type { DatasetKey, DatasetService, DatasetView } from '../datasets.js';
import type { Downloads } from '../download/downloads.js';
import type { ArchivedFile } from '../download/read-ahead.js';
import { tarOf } from '../download/tar.js';
import type { HistoryService } from '../history/history-service.js';
import { manifestOf, type RevisionManifest } from '../history/revision-manifests.js';
import type { WantedState } from './mount-source.js';
import { RECORD_NAME, recordText } from './mounted-folder.js';

/** A READY state of a dataset as the folder that a mount makes. */
export interface MountArchive {
  readonly datasetId: string;
  /** The name of the dataset, and of the folder. */
  readonly name: string;
  readonly digest: string;
  readonly revision: number;
  /** The files of the dataset. */
  readonly files: number;
  readonly bytes: number;
}

/** An entry of the archive. `stored` is missing in the record of the mount. */
interface Entry extends ArchivedFile {
  readonly stored?: StoredFile;
}

interface ReadyState extends RevisionManifest {
  readonly digest: string;
}

/** Makes READY datasets into tar archives and checksum lists for machines that have no Node. */
export class MountArchives {
  readonly #services: { datasets: DatasetService; history: HistoryService; downloads: Downloads };

  constructor(services: { datasets: DatasetService; history: HistoryService; downloads: Downloads }) {
    this.#services = services;
  }

  /**
   * Finds the state that is wanted.
   *
   * @throws ServiceError `not_ready`, `dataset_not_found`, `revision_not_found`; the signal's reason
   */
  async summary(key: DatasetKey, wanted: WantedState, signal: AbortSignal): Promise<MountArchive> {
    const { dataset, digest, revision, files } = await this.#stateOf(key, wanted, signal);
    const bytes = files.reduce((sum, { upload }) => sum + upload.sizeBytes, 0);
    return { datasetId: dataset.id, name: dataset.name, digest, revision, files: files.length, bytes };
  }

  /**
   * A tar archive of the folder, with the record of the mount as its last entry: an incomplete folder has none. Its bytes are
   * the same whenever it is made of the same digest. The stream breaks within a file that does not have its SHA-256.
   *
   * @returns `sha256` of the record, which names all that the archive has
   * @throws ServiceError as `summary` does
   */
  async tar(
    key: DatasetKey,
    wanted: WantedState,
    signal: AbortSignal,
  ): Promise<{ name: string; sha256: string } & ReturnType<typeof tarOf>> {
    const state = await this.#stateOf(key, wanted, signal);
    const { name } = state.dataset;
    const record = Buffer.from(recordOf(state));
    const finalizedAt = modifiedAt(state);
    const entries: Entry[] = state.files.map((stored) => ({
      id: stored.id,
      filename: `${name}/${mountedNameOf(stored.filename)}`,
      upload: { sizeBytes: stored.upload.sizeBytes, finalizedAt },
      stored,
    }));
    entries.push({ id: '', filename: `${name}/${RECORD_NAME}`, upload: { sizeBytes: record.length, finalizedAt } });
    const read = async ({ stored }: Entry) =>
      stored === undefined ? Readable.from([record]) : this.#services.downloads.intactBytes(stored);
    return { name, sha256: createHash('sha256').update(record).digest('hex'), ...tarOf(entries, read) };
  }

  /**
   * The lines that `sha256sum -c` reads, with the names of the archive. It escapes backslashes and line breaks only, which no
   * name has (`parseFilename`).
   *
   * @throws ServiceError as `summary` does
   */
  async checksums(key: DatasetKey, wanted: WantedState, signal: AbortSignal): Promise<string> {
    const { dataset, files } = await this.#stateOf(key, wanted, signal);
    const lineOf = ({ filename, upload }: StoredFile) =>
      `${upload.sha256}  ${dataset.name}/${mountedNameOf(filename)}\n`;
    return files.map(lineOf).join('');
  }

  async #stateOf(key: DatasetKey, { digest, revision }: WantedState, signal: AbortSignal): Promise<ReadyState> {
    const { datasets, history } = this.#services;
    if (digest !== undefined) {
      return { ...(await history.manifestWithDigest(key, digest.toLowerCase(), signal)), digest: digest.toLowerCase() };
    }
    if (revision !== undefined) {
      const manifest = await history.manifest(key, revision, signal);
      if (manifest.digest !== undefined) return { ...manifest, digest: manifest.digest };
      const message = `Revision ${revision} of "${manifest.dataset.name}" is not fit to train on, and only a READY one can be mounted.`;
      throw new ServiceError('not_ready', message);
    }
    const view = await datasets.view(key);
    if (view.digest === undefined) throw notReady(view);
    return { ...manifestOf(view), digest: view.digest };
  }
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

/** All files have the time of the dataset: files of one digest may have been uploaded at different times. */
function modifiedAt({ dataset }: RevisionManifest): number {
  return dataset.createdAt;
}

/** Of what differs between two downloads of one digest (time, version, boot), the record has nothing. */
function recordOf(state: ReadyState): string {
  const { dataset, digest, files } = state;
  const mtimeMs = Math.floor(modifiedAt(state) / 1_000_000) * 1000;
  return recordText({
    dataset_id: dataset.id,
    name: dataset.name,
    digest,
    source: 'tar',
    boot_id: null,
    files: files.map(({ filename, upload }) => ({
      filename,
      mounted_name: mountedNameOf(filename),
      sha256: upload.sha256,
      size_bytes: upload.sizeBytes,
      mtime_ms: mtimeMs,
    })),
  });
}
