import type { TestProject } from 'vitest/node';
import { startSharedBrowser, whyNoBrowser } from './browser.js';
import { discardServer, startServer } from './server.js';

/** One browser and one server for all tests of the page. */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (whyNoBrowser() !== undefined) return undefined;
  const [browser, server] = await Promise.all([startSharedBrowser(), startServer({ 'caption-grace-seconds': 0 })]);
  project.provide('browserUrl', browser.wsEndpoint());
  project.provide('siteServer', { url: server.url, dataFolder: server.dataFolder });
  return async () => {
    await browser.close();
    await discardServer(server);
  };
}
