import { fork } from 'node:child_process';
import { once } from 'node:events';

/**
 * Runs a script of this folder in a process of its own with one job, and returns what it makes of it: what loads or
 * times something must not share a thread with what starts and watches it.
 */
export async function inChild<Job, Result>(script: URL, job: Job): Promise<Result> {
  const child = fork(script, { execArgv: ['--import', 'tsx'], serialization: 'advanced' });
  const exited = once(child, 'exit');
  child.send(job as Exclude<Job, undefined> & object);
  let result: { value: Result } | undefined;
  child.on('message', (message) => {
    result = message as { value: Result };
  });
  const [code] = await exited;
  if (result === undefined)
    throw new Error(`${script.pathname.split('/').at(-1)} ended with ${code}, without a result`);
  return result.value;
}

/** The other end: takes the job, sends what `work` returns, and ends. */
export function onJob<Job, Result>(work: (job: Job) => Promise<Result>): void {
  process.once('message', async (job) => {
    const value = await work(job as Job);
    process.send?.({ value }, () => process.disconnect());
  });
}
