#!/usr/bin/env node
import { addCommands, type CommandModule } from './program/command-modules.js';
import { type InstallationAccess, remoteCommands } from './program/remote-commands.js';
import { runProgram } from './program/run-program.js';

const openDataFolder: InstallationAccess['openDataFolder'] = async (data) => {
  const [{ openLocal }, { configFrom }] = await Promise.all([
    import('./mount/local-source.js'),
    import('./settings.js'),
  ]);
  return openLocal(configFrom({ data }));
};

const loadStoreVerification = async () => (await import('./commands/installation/verify-store.js')).storeVerification;

/** The commands that open an installation: they run on the machine that holds its data. */
const INSTALLATION_MODULES: readonly CommandModule[] = [
  { names: ['serve'], load: async () => (await import('./commands/serve.js')).addServeCommand },
  { names: ['token'], load: async () => (await import('./commands/token.js')).addTokenCommands },
  {
    names: ['backup', 'restore'],
    load: async () => (await import('./commands/installation/backup.js')).addBackupCommands,
  },
  {
    names: ['migrate-data'],
    load: async () => (await import('./commands/installation/migrate-data.js')).addMigrateDataCommand,
  },
  {
    names: ['check-store'],
    load: async () => (await import('./commands/installation/verify-store.js')).addCheckStoreCommand,
  },
  { names: ['jobs'], load: async () => (await import('./commands/installation/jobs.js')).addJobsCommand },
];

await runProgram('A self-hosted training-dataset service for LoRA training.', (program, name) =>
  addCommands(program, name, [...remoteCommands({ openDataFolder, loadStoreVerification }), ...INSTALLATION_MODULES]),
);
