import { createHash } from 'node:crypto';
import { MICROS_PER_SECOND } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { WantedState } from '../manifest.js';
import type { DatasetKey } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import { type Downloads, type HashedFile, hashedFileOf } from '../download/downloads.js';
import type { ArchivedFile } from '../download/read-ahead.js';
import { tarOf } from '../download/tar.js';
import { catalogSource, fileOfCatalog } from './catalog-source.js';
import { type FolderPlan, type MountableDataset, readFolderPlans, recordOf } from './folder-plans.js';
import { DatasetChanged, MountError } from './mount-source.js';
import { RECORD_NAME, recordText } from './mounted-folder.js';

/** READY states of a dataset and its linked datasets at one moment, as the folders of a mount. */
export interface MountArchive {
  readonly accountId: string;
  readonly dataset: MountableDataset;
  /** The folders of linked datasets first. */
  readonly folders: readonly FolderPlan[];
  /** The files of all folders. */
  readonly files: FolderPlan['files'];
}

interface Entry extends ArchivedFile {
  readonly content: HashedFile | Buffer;
}

/** 2000-01-01 for all files, so that one digest makes one archive. `mount.sh` takes files newer than the record for changed. */
const MODIFIED_MS = 946_684_800_000;

/** @throws ServiceError `not_ready`, `dataset_not_found`, `revision_not_found`; the signal's reason */
export async function findMountArchive(
  dependencies: Pick<ServiceDependencies, 'catalog' | 'blobs' | 'rules' | 'now'>,
  key: DatasetKey,
  { wanted, signal }: { wanted: WantedState; signal: AbortSignal },
): Promise<MountArchive> {
  const source = catalogSource({ ...dependencies, dataFolder: 'tar' }, key);
  const plans = await readFolderPlans(source, { wanted, signal }).catch((error) => {
    if (error instanceof MountError && error.cause instanceof ServiceError) throw error.cause;
    if (!(error instanceof MountError || error instanceof DatasetChanged)) throw error;
    throw new ServiceError('not_ready', error.message, { cause: error });
  });
  const files = plans.flatMap((plan) => plan.files);
  return { accountId: key.accountId, dataset: plans[0]!.dataset, folders: plans.toReversed(), files };
}

/**
 * A tar archive of the folders, for machines without Node. The record is the last entry of each, so that an incomplete folder has
 * none. One digest makes the same bytes. The stream breaks within a damaged file.
 *
 * @returns `sha256` of the records, which name all that the archive has
 */
export function mountArchiveTar(
  { accountId, folders }: MountArchive,
  downloads: Downloads,
): { sha256: string } & ReturnType<typeof tarOf> {
  const finalizedAt = (MODIFIED_MS / 1000) * MICROS_PER_SECOND;
  const entryOf = (filename: string, content: Entry['content'], sizeBytes: number): Entry => {
    return { id: '', filename, upload: { sizeBytes, finalizedAt }, content };
  };
  const hash = createHash('sha256');
  const entries = folders.flatMap((plan) => {
    const { name } = plan.dataset;
    const record = Buffer.from(recordText({ ...recordOf(plan, () => MODIFIED_MS), source: 'tar' }));
    hash.update(record);
    const files = plan.files.map((file) => {
      return entryOf(`${name}/${file.mountedName}`, hashedFileOf(fileOfCatalog(file)), file.upload.sizeBytes);
    });
    return [...files, entryOf(`${name}/${RECORD_NAME}`, record, record.length)];
  });
  const read = async ({ content }: Entry) =>
    Buffer.isBuffer(content) ? [content] : downloads.archived(accountId, content, () => downloads.intactBytes(content));
  return { sha256: hash.digest('hex'), ...tarOf(entries, read) };
}

/** The lines for `sha256sum -c`, which escapes only backslashes and line breaks: no name has them. */
export function checksumsOf({ folders }: MountArchive): string {
  const lines = folders.flatMap(({ dataset, files }) =>
    files.map(({ upload, mountedName }) => `${upload.sha256}  ${dataset.name}/${mountedName}\n`),
  );
  return lines.join('');
}
