import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const HELP = `npm run faults -- [NAME…] [--kills N] [--on postgres+s3] [--seed N]

Runs the tests that break disks, clocks, networks and processes, all of them or those of a NAME such as full-disk. Some need root.

  --kills N  kills a server N times under mixed load with SIGKILL. After each kill, every acknowledged file is there and whole,
             the counts are right, and nothing is left over. With the NAME killed: each kind of change and each command by
             itself, N times with SIGKILL and a quarter as often with SIGTERM; prints how each kind ended
  --on postgres+s3
             kills a server on Postgres and S3, for the NAMEs crash and killed
  --seed N   the seed that a failed run printed
`;

const { values, positionals } = parseArgs({
  options: {
    kills: { type: 'string' },
    on: { type: 'string' },
    seed: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});

if (values.help) process.stdout.write(HELP);
else {
  const env = {
    ...process.env,
    TEST_ALL: 'true',
    ...(values.kills !== undefined && { TRAINYARD_TEST_KILLS: values.kills }),
    ...(values.on !== undefined && { TRAINYARD_TEST_COMBINATION: values.on }),
    ...(values.seed !== undefined && { TRAINYARD_TEST_SEED: values.seed }),
  };
  const names = values.kills !== undefined && positionals.length === 0 ? ['crash'] : positionals;
  // The other tests of this name kill commands on a folder.
  const isOf = (name: string) => (values.on !== undefined && name === 'killed' ? 'killed/killed.test' : name);
  const files = names.length === 0 ? ['test/faults/'] : names.map((name) => `test/faults/${isOf(name)}`);
  const run = spawnSync('npx', ['vitest', 'run', ...files], { stdio: 'inherit', env });
  process.exitCode = run.status ?? 1;
}
