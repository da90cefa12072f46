import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { commandLine, installLine } from '../src/command-line.js';

test('lines for another machine name the package that the service serves', () => {
  expect(installLine('http://host:8787')).toBe('npm i -g http://host:8787/cli.tgz');
  const line = commandLine('https://host/yard', ['mount', 'railway']);
  expect(line).toBe('npx --yes https://host/yard/cli.tgz mount railway');
});

test('each word reaches the command as it is', () => {
  const words = ['mount', 'red wagons', "it's", '$HOME', '*', '', 'a;b', 'é', '--into=/workspace/datasets'];
  const line = commandLine('http://[::1]:8787', words).replace('npx --yes', "printf '%s\\n'");
  const printed = execFileSync('sh', ['-c', line], { encoding: 'utf8' });
  expect(printed).toBe(`${['http://[::1]:8787/cli.tgz', ...words].join('\n')}\n`);
});
