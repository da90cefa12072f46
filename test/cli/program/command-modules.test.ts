import { Command } from 'commander';
import { expect, test } from 'vitest';
import { addCommands } from '../../../src/cli/program/command-modules.js';
import { remoteCommands } from '../../../src/cli/program/remote-commands.js';

const namesOf = (program: Command) => program.commands.flatMap((command) => [command.name(), ...command.aliases()]);

test.each(remoteCommands())('the module of $names adds the commands of these names', async (module) => {
  const program = new Command();
  await addCommands(program, module.names[0]!, remoteCommands());
  expect(namesOf(program)).toEqual(module.names);
});

test.each(['', '--help', 'pus'])('the name %j adds all commands', async (name) => {
  const program = new Command();
  await addCommands(program, name, remoteCommands());
  expect(namesOf(program)).toEqual(remoteCommands().flatMap(({ names }) => names));
});
