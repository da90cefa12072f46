#!/usr/bin/env node
/* The command of the package that a service serves at /cli.tgz. */
import { INSTALLATION_COMMANDS, notInPackage } from '../command-line.js';
import { addCommands, remoteCommands, runProgram } from './program.js';
import { CommandError, EXIT } from './terminal/exit-codes.js';

await runProgram('The command line of a trainyard service.', async (program, name) => {
  if (INSTALLATION_COMMANDS.some((each) => each === name)) {
    throw new CommandError(EXIT.usage, notInPackage(name));
  }
  const loadVerify = async () => (await import('./commands/verify.js')).addVerifyCommand;
  await addCommands(program, name, remoteCommands({ loadVerify }));
});
