import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { startBrowser, visit, whyNoBrowser } from '../../test/harness/browser.js';
import { discardServer, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { fillCatalog } from '../fill.js';
import { fillBlobs } from '../fill-blobs.js';
import { median } from '../measure.js';
import { writePhotos } from '../photos.js';
import { formatFigure, rowNotMeasured, rowWithTarget } from '../table.js';

const PHOTOS = 16;
const ROUNDS = 5;
const LIMIT_FIRST_MS = 1000;
const LIMIT_TASK_MS = 200;
/** Shorter tasks are not reported (https://w3c.github.io/longtasks/). */
const SHORTEST_LONG_TASK_MS = 50;

// The browser's globals used here, which the types of Node do not declare.
declare const document: { readonly querySelectorAll: (selector: 'article') => Iterable<Card> };
declare const window: {
  readonly innerHeight: number;
  readonly scrollY: number;
  readonly scrollBy: (x: number, y: number) => void;
};
declare const requestAnimationFrame: (callback: () => void) => void;
declare const PerformanceObserver: new (
  callback: (list: { readonly getEntries: () => readonly { duration: number }[] }) => void,
) => { readonly observe: (what: { type: 'longtask' }) => void; readonly disconnect: () => void };
interface Card {
  readonly getBoundingClientRect: () => { readonly top: number };
  readonly querySelector: (selector: 'img') => { readonly naturalWidth: number } | null;
}

/** A dataset of many pairs on the page: the time until the first cards are painted, and the longest task while scrolling. */
export const benchPage: Benchmark = async ({ folder, isQuick, log }) => {
  const pairs = isQuick ? 2000 : 10_000;
  const whatFirst = `a dataset of ${pairs.toLocaleString('en-US')} pairs on the page: first cards painted`;
  const whatTask = 'longest task while scrolling through all of them';
  const why = whyNoBrowser();
  if (why !== undefined) return [rowNotMeasured(whatFirst, why, '≤ 1'), rowNotMeasured(whatTask, why, '≤ 1')];

  const dataFolder = join(folder, 'data');
  await mkdir(dataFolder);
  const [filled] = await fillCatalog({ dataFolder }, [
    { account: 'default', datasets: 1, images: pairs, captions: pairs },
  ]);
  const photos = await writePhotos(folder, PHOTOS);
  await fillBlobs(dataFolder, await Promise.all(photos.map((path) => readFile(path))));
  const [browser, server] = await Promise.all([startBrowser(), startServer({}, { dataFolder })]);
  try {
    const firsts: number[] = [];
    let task = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const path = `/datasets/${filled!.datasetIds[0]}`;
      const { page, context } = await visit(browser, server, { token: filled!.token, path });
      firsts.push(await firstRowsMs(page));
      if (round === 0) task = await longestTaskMs(page);
      await context.close();
      log(`first cards after ${formatFigure(firsts.at(-1)!)} ms`);
    }
    const first = median(firsts);
    return [
      rowWithTarget(
        {
          what: whatFirst,
          measured: `${formatFigure(first)} ms`,
          reference: `limit ${LIMIT_FIRST_MS} ms`,
          ratio: first / LIMIT_FIRST_MS,
        },
        { atMost: 1 },
      ),
      rowWithTarget(
        {
          what: whatTask,
          measured: task === 0 ? `none over ${SHORTEST_LONG_TASK_MS} ms` : `${formatFigure(task)} ms`,
          reference: `limit ${LIMIT_TASK_MS} ms`,
          ratio: task / LIMIT_TASK_MS,
        },
        { atMost: 1 },
      ),
    ];
  } finally {
    await browser.close();
    await discardServer(server);
  }
};

/** From the request of the page until every visible card has its image. */
async function firstRowsMs(page: Page): Promise<number> {
  const handle = await page.waitForFunction(() => {
    const visible = [...document.querySelectorAll('article')].filter(
      (card) => card.getBoundingClientRect().top < window.innerHeight,
    );
    const isPainted = visible.every((card) => (card.querySelector('img')?.naturalWidth ?? 0) > 0);
    return visible.length > 0 && isPainted && performance.now();
  });
  return Number(await handle.jsonValue());
}

/** Scrolls by one screen a frame from the first pair to the last. */
function longestTaskMs(page: Page): Promise<number> {
  return page.evaluate(async () => {
    let longest = 0;
    const observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
    });
    observer.observe({ type: 'longtask' });
    // The observer reports the last tasks a few frames later.
    for (let top = -1, stillFrames = 0; stillFrames < 5; stillFrames += top === window.scrollY ? 1 : 0) {
      top = window.scrollY;
      window.scrollBy(0, window.innerHeight);
      await new Promise<void>((resolve) => requestAnimationFrame(resolve));
    }
    observer.disconnect();
    return longest;
  });
}
