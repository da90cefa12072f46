import { existsSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CEPH_MARK, isCephRunning, stopCeph } from './s3.js';

/** Ceph is started by the first test that needs it, and ends with the run, unless somebody else has started it. */
export function setup(): () => void {
  const mark = join(tmpdir(), `trainyard-test-ceph-${process.pid}`);
  process.env[CEPH_MARK] = mark;
  return () => {
    if (existsSync(mark) && isCephRunning()) stopCeph();
    rmSync(mark, { force: true });
  };
}
