import { fork } from 'node:child_process';
import { once } from 'node:events';

/** Runs a script of this folder with one job in a separate process, so that it shares no thread with the caller. */
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
    throw new Error(`${script.pathname.split('/').at(-1)} exited with ${code} and without a result`);
  return result.value;
}

/** In the child: runs `work` with the job, sends its result, and exits. */
export function onJob<Job, Result>(work: (job: Job) => Promise<Result>): void {
  process.once('message', async (job) => {
    const value = await work(job as Job);
    process.send?.({ value }, () => process.disconnect());
  });
}
