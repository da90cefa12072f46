import type { CommandModule } from './command-modules.js';
import type { OpenDataFolder } from '../commands/mount.js';
import type { StoreVerification } from '../commands/verify.js';

/** What commands can do on the machine that holds an installation. */
export interface InstallationAccess {
  readonly openDataFolder?: OpenDataFolder;
  readonly loadStoreVerification?: () => Promise<StoreVerification>;
}

/** The commands that need a service alone, or none; they are also in the package that a service serves. */
export function remoteCommands(options: InstallationAccess = {}): readonly CommandModule[] {
  return [
    { names: ['login'], load: async () => (await import('../commands/login.js')).addLoginCommand },
    { names: ['check'], load: async () => (await import('../commands/check.js')).addCheckCommand },
    { names: ['push'], load: async () => (await import('../commands/push.js')).addPushCommand },
    { names: ['ls', 'status', 'rm'], load: async () => (await import('../commands/datasets.js')).addDatasetCommands },
    { names: ['show', 'open'], load: async () => (await import('../commands/show.js')).addShowCommands },
    { names: ['rename'], load: async () => (await import('../commands/pairs/rename.js')).addRenameCommand },
    { names: ['role'], load: async () => (await import('../commands/pairs/role.js')).addRoleCommand },
    { names: ['pair'], load: async () => (await import('../commands/pairs/pair.js')).addPairCommand },
    {
      names: ['log', 'diff', 'rollback', 'undo', 'pin', 'unpin'],
      load: async () => (await import('../commands/history/history.js')).addHistoryCommands,
    },
    {
      names: ['verify', 'recheck'],
      load: async () => {
        const { addVerifyCommand } = await import('../commands/verify.js');
        const store = await options.loadStoreVerification?.();
        return (program) => addVerifyCommand(program, { store });
      },
    },
    { names: ['webhook'], load: async () => (await import('../commands/webhook.js')).addWebhookCommands },
    { names: ['pull'], load: async () => (await import('../commands/pull.js')).addPullCommand },
    {
      names: ['mount'],
      load: async () => {
        const { addMountCommand } = await import('../commands/mount.js');
        return (program) => addMountCommand(program, options);
      },
    },
    { names: ['link'], load: async () => (await import('../commands/link.js')).addLinkCommand },
    { names: ['share'], load: async () => (await import('../commands/access/share.js')).addShareCommand },
    {
      names: ['train-config', 'mount-config'],
      load: async () => (await import('../commands/train-config.js')).addTrainConfigCommand,
    },
  ];
}
