import { defineConfig } from 'vitest/config';
import { COMBINATIONS, IS_QUICK } from './test/harness/available.js';

/** What speaks to a service as a client does, and so must hold wherever the service keeps things. */
const THE_WHOLE_API = ['test/server/*.test.ts', 'test/client/client.test.ts'];

/** What takes long for what it finds: processes that are killed, disks that fill, large pictures, whole folders moved. */
const NOT_QUICK = [
  'test/faults/**',
  'test/service/{mount,transfer}/**',
  'test/cli/{check,push,terminal}.test.ts',
  'test/dataset/inspect/memory.test.ts',
];

const [own, ...others] = COMBINATIONS;
for (const { name, leftOut } of others)
  if (leftOut && !IS_QUICK) console.warn(`The tests on ${name} are left out: ${leftOut}`);

export default defineConfig({
  test: {
    globalSetup: ['test/harness/shared-postgres.ts', 'test/harness/shared-ceph.ts'],
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    // Two cores: more workers would only make each other's servers wait.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: { name: own?.name ?? '', include: ['test/**/*.test.ts'], exclude: IS_QUICK ? NOT_QUICK : [] },
      },
      ...others
        .filter(({ leftOut }) => leftOut === undefined)
        .map(({ name }) => ({
          extends: true as const,
          test: { name, include: THE_WHOLE_API, env: { TRAINYARD_TEST_COMBINATION: name } },
        })),
    ],
  },
});
