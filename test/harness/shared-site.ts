import type { TestProject } from 'vitest/node';
import { startSharedBrowser, whyNoBrowser } from './browser.js';
import { discardServer, startServer } from './server.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the browser of the run listens for tests that connect to it. */
    browserUrl: string;
    /** The server of the run; each group of tests has an account of its own. */
    siteServer: { url: string; dataFolder: string };
  }
}

/** Captions may be missing from the start, and webhooks may call receivers of the tests. */
const SETTINGS = { 'caption-grace-seconds': 0, 'webhook-allow': '127.0.0.0/8' };

/** One browser and one server for all tests of the page. */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (whyNoBrowser() !== undefined) return undefined;
  const [browser, server] = await Promise.all([startSharedBrowser(), startServer(SETTINGS)]);
  project.provide('browserUrl', browser.wsEndpoint());
  project.provide('siteServer', { url: server.url, dataFolder: server.dataFolder });
  return async () => {
    await browser.close();
    await discardServer(server);
  };
}
