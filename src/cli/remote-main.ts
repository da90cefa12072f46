#!/usr/bin/env node
/* The command of the package that a service serves at /cli.tgz. */
import { INSTALLATION_COMMANDS } from '../command-line.js';
import { addCommands, remoteCommands, runProgram } from './program.js';
import { CommandError, EXIT } from './terminal/exit-codes.js';

await runProgram('The command line of a trainyard service.', async (program, name) => {
  if (INSTALLATION_COMMANDS.some((each) => each === name)) {
    const message = `"${name}" is not in this package, which has only the commands that talk to a service. Run it on the machine that holds the data.`;
    throw new CommandError(EXIT.usage, message);
  }
  const loadVerify = async () => (await import('./commands/verify.js')).addVerifyCommand;
  await addCommands(program, name, remoteCommands({ loadVerify }));
});
