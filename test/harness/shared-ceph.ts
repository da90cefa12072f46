import { isCephRunning, stopCeph } from './s3.js';

/** Ceph is started by the first test that needs it, and ends with the run, unless it ran before. */
export function setup(): () => void {
  const ranBefore = process.env.TEST_S3_ENDPOINT !== undefined || isCephRunning();
  return () => {
    if (!ranBefore && isCephRunning()) stopCeph();
  };
}
