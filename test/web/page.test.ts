import { readdir, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { visit } from '../harness/browser.js';
import { describeInBrowser } from '../harness/describe-in-browser.js';

const ASSETS = fileURLToPath(new URL('../../dist/web/assets/', import.meta.url));
const MAX_SCRIPT_BYTES = 200_000;

describeInBrowser('the page', (site) => {
  test('signs in by a link, removes the token from the address, and keeps it for the tab', async () => {
    await site.api.newDataset('by link');
    const { page, context, browserErrors } = await site.open();
    await page.getByText('by link').waitFor();
    expect(page.url()).toBe(`${site.server.url}/`);
    await page.reload();
    await page.getByText('by link').waitFor();
    const other = await context.newPage();
    await other.goto(site.server.url);
    await other.getByLabel('Token').waitFor();
    expect(browserErrors).toEqual([]);
  });

  test('signs in with a pasted token, and explains that a token is unknown', async () => {
    const { page } = await visit(site.browser, site.server);
    await page.getByLabel('Token').fill('ty_unknown');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('does not know this token').waitFor();
    await page.getByLabel('Token').fill(`  ${site.api.token}\n`);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Datasets' }).waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Token').waitFor();
  });

  test('is served with a content security policy that allows its own files only', async () => {
    for (const path of ['/', '/datasets/anything', '/favicon.svg']) {
      const { headers, status } = await fetch(site.server.url + path);
      expect(status).toBe(200);
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toMatch(/unsafe|\*|data:/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
    }
  });

  test('shows the API documentation, which contacts no other host', async () => {
    const { page, context, browserErrors } = await visit(site.browser, site.server);
    const foreign: string[] = [];
    context.on('request', (request) => {
      if (!request.url().startsWith(site.server.url) && !request.url().startsWith('blob:')) foreign.push(request.url());
    });
    await page.goto(`${site.server.url}/docs`);
    await page.getByText('Metrics for Prometheus').first().waitFor();
    expect(foreign).toEqual([]);
    expect(browserErrors).toEqual([]);
  });

  test('needs less than 200 kB of compressed scripts', async () => {
    const scripts = (await readdir(ASSETS)).filter((name) => name.endsWith('.js.gz'));
    const sizes = await Promise.all(scripts.map(async (name) => (await stat(ASSETS + name)).size));
    expect(sizes.length).toBeGreaterThan(0);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(MAX_SCRIPT_BYTES);
  });

  test('is revalidated on each load, and its assets are cached for good', async () => {
    const document = await fetch(site.server.url);
    expect(document.headers.get('cache-control')).toBe('no-cache');
    const script = /src="(\/assets\/[^"]+\.js)"/.exec(await document.text())?.[1];
    const headers = { 'accept-encoding': 'gzip' };
    const answer = await fetch(site.server.url + script, { headers });
    expect(answer.headers.get('cache-control')).toContain('immutable');
    expect(answer.headers.get('content-encoding')).toBe('gzip');
    expect(answer.headers.get('content-type')).toContain('javascript');
    expect((await fetch(`${site.server.url}/assets/nothing.js`)).status).toBe(404);
  });
});
