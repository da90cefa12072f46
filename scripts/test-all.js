// `npm run test:all [-- PART…]`: every test, in parts. A part that has passed on this commit, with nothing changed since, is not run again:
// after an interruption or a failure the same command goes on. Names select parts and run them in any case. The last line is
// `N passed, N failed`, of parts.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const SHARDS = 4;
const vitest = (...args) => ['npx', 'vitest', 'run', ...args];

const PARTS = {
  ...Object.fromEntries(
    Array.from({ length: SHARDS }, (_, i) => [
      `tests-${i + 1}`,
      vitest('--project', 'rules', '--project', 'page', '--project', 'service', `--shard=${i + 1}/${SHARDS}`),
    ]),
  ),
  'postgres-s3': vitest('--project', 'postgres+s3'),
  kills: ['npm', 'run', '--silent', 'faults', '--', '--kills', '50'],
  fuzz: [
    'npm',
    'run',
    '--silent',
    'fuzz',
    '--',
    '--seed',
    '20261130',
    '--requests',
    '5000',
    '--sequences',
    '100',
    '--histories',
    '10',
  ],
  hostile: ['npm', 'run', '--silent', 'hostile'],
  'node-20': ['npm', 'run', '--silent', 'test:node', '--', '20'],
  'node-22': ['npm', 'run', '--silent', 'test:node', '--', '22'],
  'node-24': ['npm', 'run', '--silent', 'test:node', '--', '24'],
};

const root = fileURLToPath(new URL('..', import.meta.url));
const recordPath = fileURLToPath(new URL('../node_modules/.cache/trainyard/test-all.json', import.meta.url));

/** The commit with all changes to it; `undefined` where there is no git. */
function stateOfCode() {
  const git = (...args) =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    return git('status', '--porcelain') === '' ? git('rev-parse', 'HEAD').trim() : undefined;
  } catch {
    return undefined;
  }
}

function passedOn(state) {
  try {
    const record = JSON.parse(readFileSync(recordPath, 'utf8'));
    return record.state === state ? record.passed : [];
  } catch {
    return [];
  }
}

const unknown = process.argv.slice(2).filter((name) => !(name in PARTS));
if (unknown.length > 0) {
  console.error(`There is no part ${unknown.join(', ')}. The parts are ${Object.keys(PARTS).join(', ')}.`);
  process.exit(64);
}
const state = stateOfCode();
const named = process.argv.slice(2);
const passed = state === undefined ? [] : passedOn(state);
const results = [];
for (const name of named.length > 0 ? named : Object.keys(PARTS)) {
  if (named.length === 0 && passed.includes(name)) {
    results.push({ name, isPassed: true, note: 'passed before' });
    continue;
  }
  console.log(`== ${name}`);
  const startedAt = performance.now();
  const [program, ...args] = PARTS[name];
  const { status } = spawnSync(program, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, TEST_ALL: 'true' },
  });
  const isPassed = status === 0;
  results.push({ name, isPassed, note: `${Math.round((performance.now() - startedAt) / 1000)} s` });
  if (!isPassed || state === undefined) continue;
  passed.push(name);
  mkdirSync(dirname(recordPath), { recursive: true });
  writeFileSync(recordPath, JSON.stringify({ state, passed }));
}
for (const { name, isPassed, note } of results)
  console.log(`${isPassed ? 'passed' : 'FAILED'}  ${name.padEnd(12)} ${note}`);
const failed = results.filter(({ isPassed }) => !isPassed).length;
console.log(`${results.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
