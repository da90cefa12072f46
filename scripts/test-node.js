// `npm run test:node -- 22 24`: runs the quick tests on other versions of Node, whose programs are packages of npm. File names after
// the versions select tests. The last line is `N passed, N failed`.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { countsOf } from './test-report.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const versions = process.argv.slice(2).filter((word) => /^\d+(\.\d+)*$/.test(word));
const files = process.argv.slice(2).filter((word) => !versions.includes(word));
if (versions.length === 0) {
  console.error('Usage: npm run test:node -- VERSION… [FILE…], as in: npm run test:node -- 22 24 test/config.test.ts');
  process.exit(64);
}
const folder = mkdtempSync(join(tmpdir(), 'trainyard-node-'));
// Tests run it as another user, too.
chmodSync(folder, 0o755);
let [passed, failed] = [0, 0];
try {
  for (const version of versions) {
    const name = `node-${process.platform}-${process.arch}`;
    const install = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', folder];
    execFileSync('npm', [...install, `${name}@${version}`], { stdio: ['ignore', process.stderr, 'inherit'] });
    const bin = join(folder, 'node_modules', name, 'bin');
    console.log(`== Node ${execFileSync(join(bin, 'node'), ['--version'], { encoding: 'utf8' }).trim()}`);
    const report = join(folder, 'report.json');
    rmSync(report, { force: true });
    const vitest = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--tags-filter=!long'];
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const { status } = spawnSync(join(bin, 'node'), [...vitest, ...reporters, ...files], {
      cwd: root,
      stdio: 'inherit',
      // Tests also start `node` and `npm` by their names. Quick tests leave out backends, which CI=true does not allow.
      env: { ...process.env, CI: '', TEST_ALL: '', TEST_QUICK: 'true', PATH: `${bin}${delimiter}${process.env.PATH}` },
    });
    const counts = countsOf(report);
    passed += counts.passed;
    // A test file that does not load is not counted as a failed test.
    failed += status === 0 ? 0 : Math.max(counts.failed, 1);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
