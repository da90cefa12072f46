import { Command } from 'commander';
import { expect, test } from 'vitest';
import { addCommands } from '../../src/cli/program.js';
import { addVerifyCommand } from '../../src/cli/commands/verify.js';
import { remoteCommands } from '../../src/cli/remote-commands.js';

const GROUPS = remoteCommands({ loadVerify: async () => addVerifyCommand });
const LISTED = GROUPS.flatMap(({ commands }) => Object.keys(commands));

const namesOf = (program: Command) => program.commands.flatMap((command) => [command.name(), ...command.aliases()]);

test.each(LISTED)('the commands %s are loaded together', async (names) => {
  const program = new Command();
  await addCommands(program, names.split(' ')[0]!, GROUPS);
  expect(namesOf(program)).toEqual(names.split(' '));
});

test.each(['', '--help', 'pus'])('the name %j adds all commands, below their headings', async (name) => {
  const program = new Command();
  await addCommands(program, name, GROUPS);
  expect(namesOf(program)).toEqual(LISTED.flatMap((names) => names.split(' ')));
  const help = program.helpInformation();
  for (const { heading } of GROUPS) expect(help).toContain(`${heading}:\n`);
});
