import { randomUUID } from 'node:crypto';
import { afterAll, inject } from 'vitest';
import type { TestProject } from 'vitest/node';
import { Api } from './api.js';
import { discardServer, newToken, startServer, type TestServer } from './server.js';

export type SharedServer = Pick<TestServer, 'url' | 'dataFolder' | 'api'>;

declare module 'vitest' {
  interface ProvidedContext {
    /** The server of the run; none where the tests of a project run on another database and store. */
    sharedServer: Pick<TestServer, 'url' | 'dataFolder'> | undefined;
  }
}

/** Captions may be missing from the start, and webhooks may call receivers of the tests. */
const SETTINGS = { 'caption-grace-seconds': 0, 'webhook-allow': '127.0.0.0/8' };

/** One server for all tests of a project that need no settings of their own. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startServer(SETTINGS);
  project.provide('sharedServer', { url: server.url, dataFolder: server.dataFolder });
  return () => discardServer(server);
}

/**
 * The server of the run, with accounts that no other caller uses. Called while a file is loaded. Tests that stop their server, read
 * its log or change its data start their own.
 */
export async function sharedServer(): Promise<SharedServer> {
  const shared = inject('sharedServer');
  if (shared === undefined) {
    const own = await startServer(SETTINGS);
    afterAll(() => discardServer(own));
    return own;
  }
  const suffix = randomUUID();
  return {
    ...shared,
    api: async (account = 'default') => new Api(shared.url, await newToken(shared.dataFolder, `${account}-${suffix}`)),
  };
}
