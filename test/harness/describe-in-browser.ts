import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import type { Api } from './api.js';
import { startBrowser, type Visit, type VisitOptions, visit, whyNoBrowser } from './browser.js';
import { type BreakingProxy, startProxy } from './proxy.js';
import { discardServer, startServer, type TestServer } from './server.js';

/** A server and a browser, both running while the tests of one group run. */
export class Site {
  browser!: Browser;
  server!: TestServer;
  /** A client of the account that `open` signs in to. */
  api!: Api;

  /** Opens a page in a new browser context, signed in; at another address than the server's where `at` is given. */
  open(path = '/', { at = this.server, ...options }: OpenOptions = {}): Promise<Visit> {
    return visit(this.browser, at, { token: this.api.token, path, ...options });
  }
}

export type OpenOptions = Omit<VisitOptions, 'path'> & { readonly at?: Pick<TestServer, 'url'> };

interface Setup {
  readonly start?: () => Promise<TestServer>;
  /** Why the tests can't run on this machine, apart from a missing browser. */
  readonly whyNot?: string | undefined;
}

type Tests = (site: Site) => void;

/**
 * Groups tests of the page. Starts a browser and a server before them and ends both after them. Skips them, with the reason
 * in the title, on a machine that lacks what they need.
 */
export function describeInBrowser(title: string, ...rest: [Tests] | [Setup, Tests]): void {
  const [setup, tests] = rest.length === 1 ? [{}, rest[0]] : rest;
  const { start = () => startServer({ 'caption-grace-seconds': 0 }), whyNot }: Setup = setup;
  const leftOut = whyNoBrowser() ?? whyNot;
  describe.skipIf(leftOut !== undefined)(leftOut === undefined ? title : `${title}, left out: ${leftOut}`, () => {
    const site = new Site();
    beforeAll(async () => {
      [site.browser, site.server] = await Promise.all([startBrowser(), start()]);
      site.api = await site.server.api();
    });
    afterAll(async () => {
      await site.browser?.close();
      await discardServer(site.server);
    });
    tests(site);
  });
}

/** Starts a proxy in front of the server before the tests of a group, and ends it after them. It has no rule when a test begins. */
export function runProxy(site: Site, onStarted: (proxy: BreakingProxy) => void): void {
  let proxy: BreakingProxy | undefined;
  beforeAll(async () => {
    proxy = await startProxy(site.server.url);
    onStarted(proxy);
  });
  afterEach(() => {
    proxy?.rule();
    proxy?.release();
  });
  afterAll(() => proxy?.close());
}
