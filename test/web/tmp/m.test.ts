import { test } from 'vitest';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { visit } from '../../harness/browser.js';
import { captionedImages, datasetWith } from '../linked-datasets.js';

const median = (all: number[]) => Math.round(all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)]!);
describeInBrowser('m', (site) => {
  test('m', async () => {
    const files = await captionedImages({ a: 'a', b: 'b', c: 'c' });
    const id = await datasetWith(site.api, files);
    const [fresh, again, one, all]: number[][] = [[], [], [], []];
    const timed = async (to: number[], work: () => Promise<unknown>) => {
      const t = performance.now();
      await work();
      to.push(performance.now() - t);
    };
    await site.open('/');
    await site.leavePages({ hasFailed: false });
    for (let i = 0; i < 12; i++) {
      await timed(fresh!, async () => {
        const { page, context } = await visit(site.browser, site.server, { token: site.api.token, path: `/datasets/${id}` });
        await page.getByLabel('Caption of a.jpg').waitFor();
        await context.close();
      });
      await timed(again!, async () => {
        const { page } = await site.open(`/datasets/${id}`);
        await page.getByLabel('Caption of a.jpg').waitFor();
        await site.leavePages({ hasFailed: false });
      });
      await timed(one!, async () => datasetWith(site.api, files));
      await timed(all!, async () => {
        const made = await site.api.newDataset();
        await Promise.all(Object.entries(files).map(([name, bytes]) => site.api.upload(made, name, bytes)));
      });
    }
    console.log({ fresh: median(fresh!), again: median(again!), one: median(one!), all: median(all!) });
  });
});
