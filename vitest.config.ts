import { readdirSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { COMBINATIONS, IS_ALL, IS_QUICK } from './test/harness/available.js';
import { HANGS_AFTER_MS } from './test/harness/hangs-after.js';

/** Tests of rules: they start nothing. */
const RULES = ['test/dataset/**/*.test.ts', 'test/api/**/*.test.ts'];

/** Tests of the page, which share a browser and a server. */
const PAGE = ['test/web/**/*.test.ts'];

/** Tests of the API, which `npm run test:all` also runs on Postgres and S3. */
const API = [
  ...readdirSync(new URL('test/server', import.meta.url))
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => `test/server/${name}`),
  'test/{acceptance,client/client}.test.ts',
  'test/fuzz/history/history.test.ts',
];

/** Small files that take long. Vitest would begin them last, since it begins with the largest. */
const FIRST = /test\/(acceptance|faults\/killed\/killed|packaging\/npm-package)\.test\.ts$/;

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isFirst = ({ moduleId }: TestSpecification) => FIRST.test(moduleId);
    return [...sorted.filter(isFirst), ...sorted.filter((file) => !isFirst(file))];
  }
}

/** Left out of `npm run test:quick` and `test:node`: killed processes, full disks, large images, mounts, backup and migration. */
const NOT_QUICK = [
  'test/faults/**',
  ...PAGE,
  'test/service/{mount,transfer}/**',
  'test/service/verify/verify-store.test.ts',
  'test/cli/{check,fix,package,push,terminal}.test.ts',
  'test/dataset/inspect/memory.test.ts',
  'test/packaging/{npm-package,proxy}.test.ts',
  'test/fuzz/{fuzz,history/history}.test.ts',
];

const [, , , apart] = COMBINATIONS;
if (IS_ALL && apart?.leftOut) console.warn(`The tests on ${apart.name} are left out: ${apart.leftOut}`);

/** One Postgres and one Ceph for all tests of a project that need them. */
const BACK_ENDS = { globalSetup: ['test/harness/shared-postgres.ts', 'test/harness/shared-ceph.ts'] };

/** A project that runs these files on SQLite and a folder. */
const projectOf = (name: string, include: string[], options: object = {}) => ({
  extends: true as const,
  test: { name, include, exclude: IS_QUICK ? NOT_QUICK : [], ...options },
});

export default defineConfig({
  test: {
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    tags: [
      { name: 'long', description: 'Takes long and repeats a proof: `npm run test:all` runs it, `npm test` does not.' },
    ],
    // One more than the cores, since tests also wait: for jobs, timeouts and files.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // For a test that hangs. On a busy machine, backups and decodes of clips take minutes.
    testTimeout: 600_000,
    // A process for each file and all that it imports would cost minutes. Files undo what they change in their process.
    isolate: false,
    setupFiles: ['test/harness/after-each-file.ts'],
    hookTimeout: 600_000,
    // The default of a second is too short for a page on a busy machine.
    expect: { poll: { timeout: HANGS_AFTER_MS } },
    projects: [
      projectOf('rules', RULES),
      projectOf('page', PAGE, {
        globalSetup: ['shared-browser', 'shared-server', 'shared-ceph'].map((name) => `test/harness/${name}.ts`),
      }),
      projectOf('service', ['test/**/*.test.ts'], {
        globalSetup: [...BACK_ENDS.globalSetup, 'test/harness/shared-server.ts'],
        exclude: [...RULES, ...PAGE, ...(IS_QUICK ? NOT_QUICK : [])],
      }),
      ...(IS_ALL && apart?.leftOut === undefined
        ? [projectOf('postgres+s3', API, { ...BACK_ENDS, env: { TRAINYARD_TEST_COMBINATION: 'postgres+s3' } })]
        : []),
    ],
  },
});
