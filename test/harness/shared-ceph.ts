import { existsSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CEPH_MARK, isCephRunning, stopCeph } from './s3.js';

/** The first test that needs Ceph starts it; it is stopped after the run, unless it was running before. */
export function setup(): () => void {
  const mark = join(tmpdir(), `trainyard-test-ceph-${process.pid}`);
  process.env[CEPH_MARK] = mark;
  return () => {
    if (existsSync(mark) && isCephRunning()) stopCeph();
    rmSync(mark, { force: true });
  };
}
