import { readdirSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { COMBINATIONS, IS_QUICK, IS_WHOLE } from './test/harness/available.js';
import { HANGS_AFTER_MS } from './test/harness/hangs-after.js';
import { ofToday, SLOW_TESTS } from './test/harness/slow-tests.js';

/** Tests of the API, which run on every combination of database and blob store; on all but the default one, a part on each day. */
const API_TESTS = [
  ...readdirSync(new URL('test/server', import.meta.url))
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => `test/server/${name}`),
  'test/client/client.test.ts',
];

/** It takes a minute, so it runs on the default combination, and with `npm run test:whole` on one that shares nothing with it. */
const HISTORY = { combination: IS_WHOLE ? 'postgres+s3' : undefined, test: 'test/fuzz/history/history.test.ts' };

/** Tests that kill and cut off: they make their own load, and their deadlines assume that no other test shares the cores. */
const FAULTS = 'test/faults/**/*.test.ts';

/** Slow tests: killed processes, full disks, large images, mounts, backup and migration. */
const NOT_QUICK = [
  FAULTS,
  'test/service/{mount,transfer}/**',
  'test/cli/{check,fix,package,push,terminal}.test.ts',
  'test/dataset/inspect/memory.test.ts',
  'test/packaging/{npm-package,proxy}.test.ts',
  'test/fuzz/{fuzz,history/history}.test.ts',
];

const slowToday = ofToday(SLOW_TESTS);
const notToday = SLOW_TESTS.filter((test) => !slowToday.includes(test));

const [own, ...others] = COMBINATIONS;
for (const { name, leftOut } of others)
  if (leftOut && !IS_QUICK) console.warn(`The tests on ${name} are left out: ${leftOut}`);

export default defineConfig({
  test: {
    globalSetup: ['test/harness/shared-postgres.ts', 'test/harness/shared-ceph.ts'],
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    // More workers than the two cores only slow each other down.
    maxWorkers: 2,
    // For a test that hangs. On a busy machine, backups and decodes of clips take minutes.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    // The default of a second is too short for a page on a busy machine.
    expect: { poll: { timeout: HANGS_AFTER_MS } },
    projects: [
      {
        extends: true,
        test: {
          name: own?.name ?? '',
          include: ['test/**/*.test.ts'],
          exclude: IS_QUICK ? NOT_QUICK : [FAULTS, ...notToday],
        },
      },
      ...(IS_QUICK
        ? []
        : [
            {
              extends: true as const,
              test: {
                name: 'faults',
                include: [FAULTS],
                exclude: notToday,
                maxWorkers: 1,
                sequence: { groupOrder: 1 },
              },
            },
          ]),
      ...others
        .filter(({ leftOut }) => leftOut === undefined)
        .map(({ name }) => ({
          extends: true as const,
          test: {
            name,
            include: [...ofToday(API_TESTS), ...(name === HISTORY.combination ? [HISTORY.test] : [])],
            env: { TRAINYARD_TEST_COMBINATION: name },
          },
        })),
    ],
  },
});
