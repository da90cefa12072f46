import { readFileSync } from 'node:fs';
import { PutBucketCorsCommand } from '@aws-sdk/client-s3';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { whyNoS3 } from '../../harness/available.js';
import { startBrowser, visit, whyNoBrowser } from '../../harness/browser.js';
import { newClient, newPlace } from '../../harness/s3.js';
import { discardServer, eventually, startServer, type TestServer } from '../../harness/server.js';
import { newWorld, type World } from '../../harness/world.js';

const leftOut = whyNoBrowser() ?? whyNoS3();

/** The rule that docs/scaling.md tells people to give their bucket. */
function documentedRule(origin: string) {
  const text = readFileSync(new URL('../../../docs/scaling.md', import.meta.url), 'utf8');
  const [, json = ''] = /Browsers that PUT to the bucket.*?```json\n(.*?)```/s.exec(text) ?? [];
  const [rule] = JSON.parse(json);
  return { ...rule, AllowedOrigins: [origin] };
}

describe.skipIf(leftOut !== undefined)(`a page over a bucket${leftOut ? `, left out: ${leftOut}` : ''}`, () => {
  let browser: Browser;
  let world: World;
  let server: TestServer;
  beforeAll(async () => {
    world = await newWorld('sqlite+presigned');
    [browser, server] = await Promise.all([
      startBrowser(),
      startServer({ 'caption-grace-seconds': 0 }, { env: world.env }),
    ]);
  }, 300_000);
  afterAll(async () => {
    await browser?.close();
    await discardServer(server);
    await world?.discard();
  });

  test('brings files straight to it, by the rule that the documentation gives', async () => {
    const { bucket } = newPlace();
    await newClient().send(
      new PutBucketCorsCommand({ Bucket: bucket, CORSConfiguration: { CORSRules: [documentedRule(server.url)] } }),
    );
    const api = await server.api();
    const id = await api.newDataset();
    const { page, context, complaints } = await visit(browser, server, { token: api.token, path: `/datasets/${id}` });
    const straight: string[] = [];
    context.on('request', (request) => {
      if (request.method() === 'PUT') straight.push(new URL(request.url()).origin);
    });
    const buffer = await media.jpeg();
    await page.locator('input[type=file]:not([webkitdirectory])').setInputFiles([
      { name: 'a.jpg', mimeType: 'image/jpeg', buffer },
      { name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('a caption') },
    ]);
    await eventually(async () => ((await api.status(id)).body.status === 'READY' ? true : undefined));
    expect(straight).toEqual(Array(2).fill(new URL(world.env.TEST_S3_ENDPOINT!).origin));
    await page.getByText('READY').first().waitFor();
    expect(complaints).toEqual([]);
  });
});
