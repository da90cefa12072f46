import { readFile } from 'node:fs/promises';

/** The resident memory of a process, in megabytes (`proc(5)`); 0 if it has ended. */
export async function residentMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return (Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024) / 1e6;
}

/** The resident memory of all processes that a process has started, and those have started. */
export async function descendantsMegabytes(pid: number): Promise<number> {
  const sizes = await Promise.all((await descendantsOf(pid)).map(residentMegabytes));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** The processes that a process has started, and those have started. */
export async function descendantsOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const children = text.trim().split(' ').filter(Boolean).map(Number);
  const further = await Promise.all(children.map(descendantsOf));
  return [...children, ...further.flat()];
}
