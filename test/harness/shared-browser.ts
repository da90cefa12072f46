import type { TestProject } from 'vitest/node';
import { startSharedBrowser, whyNoBrowser } from './browser.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the browser of the run listens for tests that connect to it. */
    browserUrl: string;
  }
}

/** One browser for all tests of the page. */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (whyNoBrowser() !== undefined) return undefined;
  const browser = await startSharedBrowser();
  project.provide('browserUrl', browser.wsEndpoint());
  return () => browser.close();
}
