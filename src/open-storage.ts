import type { Logger } from 'pino';
import type { Config } from './config.js';
import { isNewCatalog, requireOwnCatalog } from './service/verify/require-own-catalog.js';
import { openCatalog } from './storage/catalog/open-catalog.js';
import { dataFolderPaths, hasCatalog, makePrivateFolder } from './storage/data-folder.js';
import { lockFolder } from './storage/folder-lock.js';
import { openBlobs } from './storage/open-blobs.js';

export type Storage = Awaited<ReturnType<typeof openStorage>>;

/** @throws FolderInUse if another process serves the folder, BackendUnusable if the database or the bucket can't be used */
export async function openStorage(config: Config, logger: Logger) {
  await makePrivateFolder(config.dataFolder);
  // With catalog and blobs remote, several instances may serve.
  const isCatalogLocal = config.databaseUrl === undefined;
  const isShared = !isCatalogLocal && config.blobs.kind !== 'disk';
  const lock = isShared ? undefined : lockFolder(dataFolderPaths(config.dataFolder).lock);
  const blobs = await openBlobs(config, (level, facts, message) => logger[level](facts, message));
  // Before the file is made, so that a lost one can be put back, and an interrupted restore continued.
  if (isCatalogLocal) await requireOwnCatalog(() => !hasCatalog(config.dataFolder), blobs);
  const { close: closeCatalog, ...catalog } = await openCatalog(
    { ...config, captionGrace: config.rules.captionGrace, accountLimits: config.limits },
    { onWarning: (message) => logger.warn(message) },
  );
  await requireOwnCatalog(() => isNewCatalog(catalog.database), blobs);
  const close = async () => {
    await blobs.close();
    await closeCatalog();
    lock?.release();
  };
  return { ...catalog, blobs, isCatalogLocal, close };
}
