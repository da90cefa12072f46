import type { Command } from 'commander';
import { addCheckCommand } from './commands/check.js';
import { addDatasetCommands } from './commands/datasets.js';
import { addHistoryCommands } from './commands/history/history.js';
import { addShareCommand } from './commands/access/share.js';
import { addLinkCommand } from './commands/link.js';
import { addLoginCommand } from './commands/login.js';
import { addMountCommand, type OpenDataFolder } from './commands/mount.js';
import { addPairCommand } from './commands/pairs/pair.js';
import { addRenameCommand } from './commands/pairs/rename.js';
import { addRoleCommand } from './commands/pairs/role.js';
import { addTrainConfigCommand } from './commands/train-config.js';
import { addPullCommand } from './commands/pull.js';
import { addPushCommand } from './commands/push.js';
import { addRecheckCommand } from './commands/recheck.js';
import { addShowCommands } from './commands/show.js';
import { addWebhookCommands } from './commands/webhook.js';

/** Adds the commands that need a service alone, or none; they are also in the package that a service serves. */
export function addRemoteCommands(program: Command, options: { openDataFolder?: OpenDataFolder } = {}): void {
  addLoginCommand(program);
  addCheckCommand(program);
  addPushCommand(program);
  addDatasetCommands(program);
  addShowCommands(program);
  addRenameCommand(program);
  addRoleCommand(program);
  addPairCommand(program);
  addHistoryCommands(program);
  addRecheckCommand(program);
  addWebhookCommands(program);
  addPullCommand(program);
  addMountCommand(program, options);
  addLinkCommand(program);
  addShareCommand(program);
  addTrainConfigCommand(program);
}
