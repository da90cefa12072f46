import type { Command } from 'commander';

/** Commands that are loaded together. */
export interface CommandModule {
  /** Of its commands and their aliases. */
  readonly names: readonly string[];
  /** Loads the function that adds its commands to a program. */
  readonly load: () => Promise<(program: Command) => void>;
}

/**
 * Adds the commands of the module that has `name`. Without one, for the list of all commands and for a suggestion, it adds
 * those of all modules. To load all takes longer than most commands run.
 */
export async function addCommands(program: Command, name: string, modules: readonly CommandModule[]): Promise<void> {
  const named = modules.filter(({ names }) => names.includes(name));
  const chosen = named.length > 0 ? named : modules;
  for (const add of await Promise.all(chosen.map(({ load }) => load()))) add(program);
}
