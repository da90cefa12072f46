import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { temporaryFolder } from '../harness/server.js';

/** Builds a library of a C file beside the test, to be named in LD_PRELOAD. */
export async function builtLibrary(source: string): Promise<string> {
  const library = join(await temporaryFolder(), 'preloaded.so');
  const path = fileURLToPath(new URL(source, import.meta.url));
  const compiled = spawnSync('gcc', ['-shared', '-fPIC', '-o', library, path, '-ldl'], { encoding: 'utf8' });
  expect([compiled.status, compiled.stderr]).toEqual([0, '']);
  return library;
}
