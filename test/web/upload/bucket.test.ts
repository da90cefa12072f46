// @module-tag long
import { readFileSync } from 'node:fs';
import { PutBucketCorsCommand } from '@aws-sdk/client-s3';
import { afterAll, expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { whyNoS3 } from '../../harness/available.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { newClient, newPlace } from '../../harness/s3.js';
import { startServer, type TestServer } from '../../harness/server.js';
import { newWorld, type World } from '../../harness/world.js';
import { bytesOf, FILES, replaceFile } from './drop-files.js';

/** The CORS rule of docs/scaling.md. */
function documentedRule(origin: string) {
  const text = readFileSync(new URL('../../../docs/scaling.md', import.meta.url), 'utf8');
  const [, json = ''] = /Browsers that PUT to the bucket.*?```json\n(.*?)```/s.exec(text) ?? [];
  const [rule] = JSON.parse(json);
  return { ...rule, AllowedOrigins: [origin] };
}

let world: World;

async function start(): Promise<TestServer> {
  world = await newWorld('sqlite+presigned');
  return startServer({ 'caption-grace-seconds': 0 }, { env: world.env });
}

// Registered outside the group, so that it runs after the server has stopped.
afterAll(() => world?.discard());

describeInBrowser('the page with presigned uploads to a bucket', { start, whyNot: whyNoS3() }, (site) => {
  test('uploads files directly to the bucket, with the CORS rule of the documentation, also in place of others', async () => {
    const { bucket } = newPlace();
    await newClient().send(
      new PutBucketCorsCommand({ Bucket: bucket, CORSConfiguration: { CORSRules: [documentedRule(site.server.url)] } }),
    );
    const id = await site.api.newDataset();
    const { page, context } = await site.open(`/datasets/${id}`);
    const straight: string[] = [];
    context.on('request', (request) => {
      if (request.method() === 'PUT') straight.push(new URL(request.url()).origin);
    });
    await page.locator(FILES).setInputFiles([bytesOf('a.jpg', media.damaged.html()), bytesOf('a.txt', 'a caption')]);
    await page.getByText('FAILED').first().waitFor();
    expect(straight).toEqual(Array(2).fill(new URL(world.env.TEST_S3_ENDPOINT!).origin));

    await page.getByRole('link', { name: 'Fit to train?' }).click();
    await replaceFile(page, 'a.jpg', { name: 'any.png', buffer: await media.png() });
    await page.getByRole('heading', { name: 'Fit to train', exact: true }).waitFor();
    expect(await site.api.filenames(id)).toEqual(['a.png', 'a.txt']);
  });
});
