import { randomUUID } from 'node:crypto';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, inject } from 'vitest';
import type { Api } from './api.js';
import { connectBrowser, enter, type Visit, type VisitOptions, visit, whyNoBrowser } from './browser.js';
import { type BreakingProxy, startProxy } from './proxy.js';
import { discardServer, type TestServer } from './server.js';
import type {} from './shared-browser.js';
import { type SharedServer, sharedServer } from './shared-server.js';

/** A connection to the browser of the run, and a server. */
class Site {
  browser!: Browser;
  server!: SharedServer;
  /** The account that `open` signs in to: on the server of the run, no other group of tests uses it. */
  account = 'default';
  /** A client of the account. */
  api!: Api;
  readonly #visits: Visit[] = [];
  /** Pages that earlier tests have left. One that is opened again costs half of a new one. */
  readonly #left: Visit[] = [];

  /** An account of one test, whose names are free and whose list shows no other datasets. */
  async newAccount(): Promise<{ api: Api; open: (path?: string) => Promise<Visit> }> {
    const api = await this.server.api(`account-${randomUUID()}`);
    return { api, open: (path = '/') => this.open(path, { token: api.token }) };
  }

  /**
   * Opens a page in a browser context of its own, signed in; at another address than the server's where `at` is given. A test that
   * sets the clock or the pointer of its page closes its context.
   */
  open(path = '/', options: OpenOptions = {}): Promise<Visit> {
    return this.openSignedOut(path, { token: this.api.token, ...options });
  }

  async openSignedOut(path = '/', { at = this.server, ...options }: OpenOptions = {}): Promise<Visit> {
    const left = this.#left.pop();
    const visited = left ?? (await visit(this.browser, at, { path, ...options }));
    this.#visits.push(visited);
    if (left !== undefined) await visitAgain(left, at, { path, ...options });
    return visited;
  }

  /** Leaves the pages that are open, and fails if the browser logged an error on one of them. */
  async leavePages({ hasFailed }: { hasFailed: boolean }): Promise<void> {
    const visits = this.#visits.splice(0);
    const errors = visits.flatMap(({ browserErrors }) => browserErrors);
    if (hasFailed || errors.length > 0) await Promise.all(visits.map(({ context }) => context.close()));
    expect(errors).toEqual([]);
    const open = visits.filter(({ page }) => !page.isClosed());
    await Promise.all(open.map(leave));
    this.#left.push(...open);
  }
}

/** Ends all that a test has set on the page. */
async function leave({ page, context }: Visit): Promise<void> {
  for (const event of ['dialog', 'request', 'requestfailed', 'requestfinished', 'response']) {
    page.removeAllListeners(event);
    context.removeAllListeners(event);
  }
  const behavior = 'ignoreErrors';
  await Promise.all([page.unrouteAll({ behavior }), context.unrouteAll({ behavior })]);
  await Promise.all([context.setOffline(false), context.clearPermissions()]);
  await Promise.all(context.pages().map((each) => (each === page ? page.goto('about:blank') : each.close())));
}

/** Opens a page that was left as `visit` opens a new one: without cookies and storage. */
async function visitAgain(left: Visit, { url }: Pick<TestServer, 'url'>, options: VisitOptions): Promise<void> {
  const { page, context } = left;
  const { token, path = '/', theme = 'light', width = 1280, height = 800 } = options;
  await context.clearCookies();
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' });
  // A document of the same origin, without scripts.
  await page.goto(new URL('/favicon.svg', url + path).href);
  await page.evaluate('localStorage.clear(); sessionStorage.clear();');
  await enter(page, url + path, token);
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
      site.server = own ?? (await sharedServer());
      if (own === undefined) site.account = `account-${randomUUID()}`;
      site.api = await site.server.api(site.account);
    });
    afterEach(({ task }) => site.leavePages({ hasFailed: task.result?.state === 'fail' }));
    afterAll(async () => {
      await site.browser?.close();
      await discardServer(own);
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
