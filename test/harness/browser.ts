import { existsSync } from 'node:fs';
import { type Browser, type BrowserContext, type BrowserServer, chromium } from 'playwright-core';
import type { Page, Request } from 'playwright-core';
import { IS_QUICK } from './available.js';
import { HANGS_AFTER_MS } from './hangs-after.js';
import type { TestServer } from './server.js';

/** Where Debian, other Linux distributions and macOS install Chromium. Its headless shell is a third quicker. */
const EXECUTABLES = [
  process.env.TEST_CHROMIUM ?? '',
  '/usr/bin/chromium-headless-shell',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

const FLAGS = [
  // Chromium's own sandbox does not work as root, and the only pages that it loads are ours.
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  // These features contact Google, which stalls on a machine without the internet.
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const executablePath = EXECUTABLES.find((path) => path !== '' && existsSync(path));

/** Why tests can't use a browser on this machine; `undefined` if they can. */
export function whyNoBrowser(): string | undefined {
  if (IS_QUICK) return 'npm run test:quick does without a browser';
  if (executablePath !== undefined || process.env.CI === 'true') return undefined;
  return 'no Chromium is installed; TEST_CHROMIUM can name one';
}

const LAUNCH = { executablePath: executablePath ?? '', args: FLAGS, timeout: HANGS_AFTER_MS };

export function startBrowser(): Promise<Browser> {
  return chromium.launch(LAUNCH);
}

/** A browser that several processes connect to, with `connectBrowser` and its `wsEndpoint()`. */
export function startSharedBrowser(): Promise<BrowserServer> {
  return chromium.launchServer(LAUNCH);
}

/** Closing it closes its own contexts, and leaves the shared browser running. */
export function connectBrowser(url: string): Promise<Browser> {
  return chromium.connect(url);
}

export interface Visit {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors of scripts, and violations of the page's content security policy. */
  readonly browserErrors: readonly string[];
}

export interface VisitOptions {
  /** Signs in with this token. */
  readonly token?: string;
  readonly path?: string;
  readonly theme?: 'light' | 'dark';
  readonly width?: number;
  readonly height?: number;
}

/** Opens the page in a new browser context, which shares no cookies, storage or cache with others. */
export async function visit(
  browser: Browser,
  server: Pick<TestServer, 'url'>,
  options: VisitOptions = {},
): Promise<Visit> {
  const { token, path = '/', theme = 'light', width = 1280, height = 800 } = options;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    acceptDownloads: true,
    // A click waits until nothing moves.
    reducedMotion: 'reduce',
  });
  context.setDefaultTimeout(HANGS_AFTER_MS);
  const page = await context.newPage();
  const browserErrors: string[] = [];
  page.on('pageerror', (error) => browserErrors.push(String(error)));
  page.on('console', (message) => {
    // Many tests provoke failed requests, and check how the page handles them.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
      browserErrors.push(message.text());
    }
  });
  await enter(page, server.url + path, token);
  return { page, context, browserErrors };
}

/** Opens a page; with a token, until it is exchanged: a test that leaves the page before would not be signed in. */
export async function enter(page: Page, url: string, token?: string): Promise<void> {
  if (token === undefined) return void (await page.goto(url));
  const isExchange = (request: Request) => request.method() === 'POST' && request.url().endsWith('/session');
  const exchanged = page.waitForResponse((response) => isExchange(response.request()));
  await Promise.all([exchanged, page.goto(`${url}#token=${token}`)]);
}
