#!/usr/bin/env node
import { addBackupCommands } from './commands/installation/backup.js';
import { addCheckStoreCommand } from './commands/installation/check-store.js';
import { addMigrateDataCommand } from './commands/installation/migrate-data.js';
import { addServeCommand } from './commands/serve.js';
import { addTokenCommands } from './commands/token.js';
import { openLocal } from './mount/local-source.js';
import { addRemoteCommands } from './remote-commands.js';
import { runProgram } from './run-program.js';
import { configFrom } from './settings.js';

await runProgram('A self-hosted training-dataset service for LoRA training.', (program) => {
  addRemoteCommands(program, { openDataFolder: (data) => openLocal(configFrom({ data })) });
  addServeCommand(program);
  addTokenCommands(program);
  addBackupCommands(program);
  addMigrateDataCommand(program);
  addCheckStoreCommand(program);
});
