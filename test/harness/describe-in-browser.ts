import { randomUUID } from 'node:crypto';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, inject } from 'vitest';
import { Api } from './api.js';
import { connectBrowser, type Visit, type VisitOptions, visit, whyNoBrowser } from './browser.js';
import { trainyard } from './command.js';
import { type BreakingProxy, startProxy } from './proxy.js';
import { discardServer, newToken, type TestServer } from './server.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the browser of the run listens for tests that connect to it. */
    browserUrl: string;
    /** The server of the run; each group of tests has an account of its own. */
    siteServer: { url: string; dataFolder: string };
  }
}

/** A connection to the browser of the run, and a server. */
export class Site {
  browser!: Browser;
  server!: Pick<TestServer, 'url' | 'dataFolder' | 'api'>;
  /** The account that `open` signs in to: on the server of the run, no other group of tests uses it. */
  account = 'default';
  /** A client of the account. */
  api!: Api;

  /** A token of the account that only reads. */
  async readOnlyToken(): Promise<string> {
    const { dataFolder } = this.server;
    const create = ['token', 'create', '--data', dataFolder, '--account', this.account, '--read-only'];
    return (await trainyard(create)).stdout.trim();
  }

  /** Opens a page in a new browser context, signed in; at another address than the server's where `at` is given. */
  open(path = '/', { at = this.server, ...options }: OpenOptions = {}): Promise<Visit> {
    return visit(this.browser, at, { token: this.api.token, path, ...options });
  }
}

export type OpenOptions = Omit<VisitOptions, 'path'> & { readonly at?: Pick<TestServer, 'url'> };

interface Setup {
  /** By default, the tests use the server of the run. */
  readonly start?: () => Promise<TestServer>;
  /** Why the tests can't run on this machine, apart from a missing browser. */
  readonly whyNot?: string | undefined;
}

type Tests = (site: Site) => void;

/** Groups tests of the page. Skips them, with the reason in the title, on a machine that lacks what they need. */
export function describeInBrowser(title: string, ...rest: [Tests] | [Setup, Tests]): void {
  const [setup, tests] = rest.length === 1 ? [{}, rest[0]] : rest;
  const { start, whyNot }: Setup = setup;
  const leftOut = whyNoBrowser() ?? whyNot;
  describe.skipIf(leftOut !== undefined)(leftOut === undefined ? title : `${title}, left out: ${leftOut}`, () => {
    const site = new Site();
    let own: TestServer | undefined;
    beforeAll(async () => {
      [site.browser, own] = await Promise.all([connectBrowser(inject('browserUrl')), start?.()]);
      site.server = own ?? sharedServer();
      if (own === undefined) site.account = `account-${randomUUID()}`;
      site.api = await site.server.api(site.account);
    });
    afterAll(async () => {
      await site.browser?.close();
      await discardServer(own);
    });
    tests(site);
  });
}

function sharedServer(): Site['server'] {
  const { url, dataFolder } = inject('siteServer');
  return { url, dataFolder, api: async (account = 'default') => new Api(url, await newToken(dataFolder, account)) };
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
