import type { Config } from '../../config.js';
import { revisionNotFound } from '../../service/history.js';
import { catalogSource } from '../../service/mount/catalog-source.js';
import { DiskBlobs } from '../../storage/blobs/disk/disk-blobs.js';
import { dataFolderPaths } from '../../storage/data-folder.js';
import { didYouMean } from '../remote.js';
import { requireCatalog } from '../settings.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import type { MountableDatasets } from './wait-for-ready.js';

/** Opens the datasets of a data folder, also while a server uses it. @throws CommandError with 66 if it has no catalog */
export async function openLocal(config: Config): Promise<MountableDatasets> {
  const { dataFolder, rules } = config;
  requireCatalog(config);
  if (config.blobs.kind !== 'disk') {
    const message = '--data needs files on this machine, but these are in a bucket. Leave out --data.';
    throw new CommandError(EXIT.usage, message);
  }
  // Imported late, so that other commands start without loading the database code.
  const { openCatalog } = await import('../../storage/catalog/open-catalog.js');
  const { catalog, now, close } = await openCatalog(config);
  const blobs = DiskBlobs.openBeside(dataFolderPaths(dataFolder).blobs);
  return {
    find: async (nameOrId) => {
      const all = await catalog.records({});
      const named = all.filter(({ name }) => name === nameOrId.normalize('NFC'));
      const found = all.find(({ id }) => id === nameOrId) ?? named[0];
      if (found === undefined) {
        const hint = didYouMean(nameOrId, all);
        throw new CommandError(EXIT.noInput, `there is no dataset "${nameOrId}" in ${dataFolder}.${hint}`);
      }
      if (found.id !== nameOrId && named.length > 1) {
        const ids = named.map(({ id }) => id).join(', ');
        const message = `several accounts have a dataset "${nameOrId}". Use an id instead of the name: ${ids}`;
        throw new CommandError(EXIT.dataError, message);
      }
      return { source: catalogSource({ catalog, dataFolder, blobs, rules, now }, found) };
    },
    pin: async (datasetId, number, note) => {
      const isPinned = await catalog.revisions.setPin(datasetId, number, { at: now(), by: 'command line', note });
      if (!isPinned) throw await revisionNotFound(catalog, datasetId, number);
    },
    close,
  };
}
