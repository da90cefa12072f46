#!/usr/bin/env node
import { Command } from 'commander';
import { packageVersion } from '../version.js';
import { endingOf, fail } from './exit.js';
import { addServeCommand } from './serve.js';
import { addTokenCommands } from './token.js';

const program = new Command('trainyard')
  .description('A self-hosted training-dataset service for LoRA training.')
  .version(packageVersion())
  .showHelpAfterError('Run with --help to see what there is.');

addServeCommand(program);
addTokenCommands(program);

try {
  await program.parseAsync();
} catch (error) {
  const { code, message } = endingOf(error);
  fail(code, message);
}
