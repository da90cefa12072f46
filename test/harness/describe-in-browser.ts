import { randomUUID } from 'node:crypto';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, inject } from 'vitest';
import type { Api } from './api.js';
import { connectBrowser, type Visit, type VisitOptions, visit, whyNoBrowser } from './browser.js';
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

  /** An account of one test, whose names are free and whose list shows no other datasets. */
  async newAccount(): Promise<{ api: Api; open: (path?: string) => Promise<Visit> }> {
    const api = await this.server.api(`account-${randomUUID()}`);
    return { api, open: (path = '/') => this.open(path, { token: api.token }) };
  }

  /** Opens a page in a new browser context, signed in; at another address than the server's where `at` is given. */
  open(path = '/', options: OpenOptions = {}): Promise<Visit> {
    return this.openSignedOut(path, { token: this.api.token, ...options });
  }

  async openSignedOut(path = '/', { at = this.server, ...options }: OpenOptions = {}): Promise<Visit> {
    const visited = await visit(this.browser, at, { path, ...options });
    this.#visits.push(visited);
    return visited;
  }

  /** Closes the pages that are open, and fails if the browser logged an error on one of them. */
  async closePages(): Promise<void> {
    const visits = this.#visits.splice(0);
    await Promise.all(visits.map(({ context }) => context.close()));
    expect(visits.flatMap(({ browserErrors }) => browserErrors)).toEqual([]);
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
      site.server = own ?? (await sharedServer());
      if (own === undefined) site.account = `account-${randomUUID()}`;
      site.api = await site.server.api(site.account);
    });
    afterEach(() => site.closePages());
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
