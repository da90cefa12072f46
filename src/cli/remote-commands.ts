import type { OpenDataFolder } from './commands/mount.js';
import type { AddCommands, CommandGroup } from './program.js';

export interface CommandParts {
  readonly openDataFolder?: OpenDataFolder;
  /** Loads `verify`, with `--store` or without. */
  readonly loadVerify: () => Promise<AddCommands>;
}

/** The commands that need no installation; they are also in the package that a service serves. */
export function remoteCommands(parts: CommandParts): readonly CommandGroup[] {
  return [
    {
      heading: 'From a folder to the trainer',
      commands: {
        login: async () => (await import('./commands/login.js')).addLoginCommand,
        check: async () => (await import('./commands/check.js')).addCheckCommand,
        push: async () => (await import('./commands/push.js')).addPushCommand,
        import: async () => (await import('./commands/import.js')).addImportCommand,
        pull: async () => (await import('./commands/pull.js')).addPullCommand,
        mount: async () => {
          const { addMountCommand } = await import('./commands/mount.js');
          return (program) => addMountCommand(program, parts);
        },
        export: async () => (await import('./commands/export.js')).addExportCommand,
        link: async () => (await import('./commands/link.js')).addLinkCommand,
        'train-config mount-config': async () => (await import('./commands/train-config.js')).addTrainConfigCommand,
      },
    },
    {
      heading: 'Your datasets',
      commands: {
        'ls status show open share rename role rm': async () =>
          (await import('./commands/datasets.js')).addDatasetCommands,
        pair: async () => (await import('./commands/pairs/pair.js')).addPairCommand,
        'log diff rollback undo pin unpin': async () => (await import('./commands/history.js')).addHistoryCommands,
        'caption proposals': async () => (await import('./commands/caption.js')).addCaptionCommands,
        'verify recheck': parts.loadVerify,
        webhook: async () => (await import('./commands/webhook.js')).addWebhookCommands,
      },
    },
  ];
}
