#!/usr/bin/env node
import { type CommandGroup, type CommandParts, addCommands, remoteCommands, runProgram } from './program.js';

const openDataFolder: CommandParts['openDataFolder'] = async (data) => {
  const [{ openLocal }, { configFrom }] = await Promise.all([
    import('./mount/local-source.js'),
    import('./settings.js'),
  ]);
  return openLocal(configFrom({ data }));
};

const loadVerify = async () => (await import('./commands/installation/verify-store.js')).addVerifyStoreCommand;

const INSTALLATION: CommandGroup = {
  heading: 'The service, on the machine that holds its data',
  commands: {
    serve: async () => (await import('./commands/serve.js')).addServeCommand,
    token: async () => (await import('./commands/token.js')).addTokenCommands,
    'backup restore migrate-data': async () =>
      (await import('./commands/installation/transfer.js')).addTransferCommands,
    jobs: async () => (await import('./commands/installation/jobs.js')).addJobsCommand,
  },
};

await runProgram('A self-hosted training-dataset service for LoRA training.', (program, name) =>
  addCommands(program, name, [...remoteCommands({ openDataFolder, loadVerify }), INSTALLATION]),
);
