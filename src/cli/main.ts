#!/usr/bin/env node
import { Command } from 'commander';
import { packageVersion } from '../version.js';
import { addBackupCommands } from './commands/backup.js';
import { addCheckCommand } from './commands/check.js';
import { addDatasetCommands } from './commands/datasets.js';
import { addLoginCommand } from './commands/login.js';
import { addMigrateDataCommand } from './commands/migrate-data.js';
import { addMountCommand } from './commands/mount.js';
import { addMountConfigCommand } from './commands/mount-config.js';
import { addPullCommand } from './commands/pull.js';
import { addPushCommand } from './commands/push.js';
import { addRecheckCommand } from './commands/recheck.js';
import { addServeCommand } from './commands/serve.js';
import { addShowCommands } from './commands/show.js';
import { addTokenCommands } from './commands/token.js';
import { endWith, wantsJson } from './terminal/exit-codes.js';

const EXAMPLES = `
Examples:
  $ trainyard login http://127.0.0.1:8787   once, with the token that "trainyard serve" printed
  $ trainyard check photos                  is the folder fit to train on?
  $ trainyard push photos                   upload it to the dataset "photos"
  $ trainyard ls

Every command has examples in its own --help, and --json for scripts.`;

// A reader such as `head` may close the pipe early.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

const args = process.argv.slice(2);
const program = new Command('trainyard')
  .description('A self-hosted training-dataset service for LoRA training.')
  .version(packageVersion())
  .showHelpAfterError('Run with --help for usage.')
  // Makes commander throw instead of exiting, so that all errors end in `endWith`. With --json it prints nothing itself.
  .exitOverride()
  .configureOutput(wantsJson(args) ? { writeErr: () => {} } : {})
  .addHelpText('after', EXAMPLES);

addLoginCommand(program);
addCheckCommand(program);
addPushCommand(program);
addDatasetCommands(program);
addShowCommands(program);
addRecheckCommand(program);
addPullCommand(program);
addMountCommand(program);
addMountConfigCommand(program);
addServeCommand(program);
addTokenCommands(program);
addBackupCommands(program);
addMigrateDataCommand(program);

try {
  await program.parseAsync();
} catch (error) {
  endWith(error, args);
}
