import { Command } from 'commander';
import type { OpenDataFolder } from './commands/mount.js';
import { endUnwritable, endWith, wantsJson } from './terminal/exit-codes.js';
import { withOwnCommand } from './terminal/print.js';
import { printableLines } from './terminal/text.js';
import { packageVersion } from '../version.js';

type AddCommands = (program: Command) => unknown;

/** A heading of `--help`, and its commands by the names that are loaded together. */
export interface CommandGroup {
  readonly heading: string;
  readonly commands: Readonly<Record<string, () => Promise<AddCommands>>>;
}

/** Adds the commands that are loaded with `name`, or all if it names none, which takes longer than most commands run. */
export async function addCommands(program: Command, name: string, groups: readonly CommandGroup[]): Promise<void> {
  const all = groups.flatMap(({ heading, commands }) =>
    Object.entries(commands).map(([names, load]) => ({ heading, names: names.split(' '), load })),
  );
  const named = all.filter(({ names }) => names.includes(name));
  const chosen = named.length > 0 ? named : all;
  const loaded = await Promise.all(chosen.map(async ({ heading, load }) => ({ heading, add: await load() })));
  for (const { heading, add } of loaded) {
    program.commandsGroup(`${heading}:`);
    add(program);
  }
}

const EXAMPLES = `
Examples:
  $ trainyard login http://127.0.0.1:8787   once, with the token that "trainyard serve" printed
  $ trainyard check photos                  is the folder fit to train on?
  $ trainyard push photos                   upload it to the dataset "photos"
  $ trainyard ls

Every command has examples in its own --help, and --json for scripts.`;

/** Runs the command line of this process to its end; `add` adds at least the command that is named. */
export async function runProgram(
  description: string,
  add: (program: Command, name: string) => Promise<void>,
): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', (error) => endUnwritable(error));
  const args = process.argv.slice(2);
  const program = new Command('trainyard')
    .description(description)
    .version(packageVersion())
    .showHelpAfterError('Run with --help for usage.')
    // Makes commander throw instead of exiting, so that all errors end in `endWith`. With --json it prints nothing itself.
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void process.stdout.write(withOwnCommand(text)),
      writeErr: wantsJson(args) ? () => {} : (text) => void process.stderr.write(printableLines(withOwnCommand(text))),
    })
    .addHelpText('after', EXAMPLES);
  try {
    await add(program, args[0] ?? '');
    await program.parseAsync();
  } catch (error) {
    endWith(error, args);
  }
}

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
        pair: async () => (await import('./commands/pair.js')).addPairCommand,
        'log diff rollback undo pin unpin': async () => (await import('./commands/history.js')).addHistoryCommands,
        'caption proposals': async () => (await import('./commands/caption.js')).addCaptionCommands,
        'verify recheck': parts.loadVerify,
        webhook: async () => (await import('./commands/webhook.js')).addWebhookCommands,
      },
    },
  ];
}
