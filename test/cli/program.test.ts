import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { Command } from 'commander';
import { expect, onTestFinished, test } from 'vitest';
import { addCommands, remoteCommands } from '../../src/cli/program.js';
import { addVerifyCommand } from '../../src/cli/commands/verify.js';
import { tableOf } from '../../src/cli/terminal/text.js';
import { newRoot } from '../harness/mounting.js';
import { COMMAND } from '../harness/server.js';

const GROUPS = remoteCommands({ loadVerify: async () => addVerifyCommand });
const LISTED = GROUPS.flatMap(({ commands }) => Object.keys(commands));

const namesOf = (program: Command) => program.commands.flatMap((command) => [command.name(), ...command.aliases()]);

test.each(['', '--help', 'pus'])('the name %j adds all commands, below their headings', async (name) => {
  const program = new Command();
  await addCommands(program, name, GROUPS);
  expect(namesOf(program)).toEqual(LISTED.flatMap((names) => names.split(' ')));
  const help = program.helpInformation();
  for (const { heading } of GROUPS) expect(help).toContain(`${heading}:\n`);
});

test('every command teaches by example, and has --json', async () => {
  const program = new Command('trainyard');
  await addCommands(program, '', GROUPS);
  const leavesOf = (command: Command): Command[] =>
    command.commands.length > 0 ? command.commands.flatMap(leavesOf) : [command];
  const nameOf = (command: Command): string =>
    command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
  for (const command of leavesOf(program)) {
    const written: string[] = [];
    command.configureOutput({ writeOut: (text) => void written.push(text) });
    command.outputHelp();
    const help = written.join('');
    expect(help, nameOf(command)).toContain(`$ ${nameOf(command)}`);
    expect(help, nameOf(command)).toContain('--json');
  }
});

test('a table has as many rows as a dataset has files', () => {
  const rows = Array.from({ length: 200_000 }, (_, i) => [`${i}.txt`, 'x']);
  const lines = tableOf(rows);
  expect([lines.length, lines[0], lines.at(-1)]).toEqual([200_000, '0.txt       x', '199999.txt  x']);
});

test('a service goes on while nothing can be written to its log', async () => {
  const args = ['serve', '--data', await newRoot(), '--port', '0', '--log', 'json', '--json'];
  const child = spawn(process.execPath, [COMMAND, ...args], { stdio: ['ignore', 'pipe', openSync('/dev/full', 'w')] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [started] = await Promise.race([once(child.stdout!, 'data'), once(child, 'close')]);
  expect((await fetch(`${JSON.parse(String(started)).url}/healthz`)).status).toBe(200);
  child.kill('SIGTERM');
  expect(await once(child, 'close')).toEqual([0, null]);
});
