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
import { KEY_FIGURES, keyRows } from './page-keys.js';
import { formatFigure, type Row, rowNotMeasured, rowWithTarget } from '../table.js';

const PHOTOS = 16;
const ROUNDS = 5;
/** Shorter tasks are not reported (https://w3c.github.io/longtasks/). */
const SHORTEST_LONG_TASK_MS = 50;

interface Figure {
  readonly what: string;
  readonly unit: string;
  readonly limit: number;
  /** A figure that should be at least the limit. */
  readonly isFloor?: boolean;
}

const FIRST_LOAD: Figure = { what: 'first load of the page, compressed', unit: 'kB', limit: 250 };
const FIRST = { unit: 'ms', limit: 800 };
const FIRST_OF_MANY = { unit: 'ms', limit: 1000 };
const JUMP: Figure = { what: 'jump to the middle: all thumbnails shown', unit: 'ms', limit: 300 };
const GREY: Figure = { what: 'cards without a picture or placeholder in its first frame', unit: 'cards', limit: 0 };
const TASK: Figure = { what: 'longest task while scrolling through all of them', unit: 'ms', limit: 200 };
const FRAMES: Figure = {
  what: 'frames while scrolling, three rows a second',
  unit: 'a second',
  limit: 60,
  isFloor: true,
};

// The browser's globals used here, which the types of Node do not declare.
declare const document: {
  readonly querySelectorAll: (selector: 'article') => Iterable<Card>;
  readonly documentElement: { readonly scrollHeight: number };
};
declare const window: {
  readonly innerHeight: number;
  readonly scrollY: number;
  readonly scrollBy: (x: number, y: number) => void;
  readonly scrollTo: (x: number, y: number) => void;
};
declare const requestAnimationFrame: (callback: (now: number) => void) => void;
declare const PerformanceObserver: new (
  callback: (list: { readonly getEntries: () => readonly { duration: number }[] }) => void,
) => { readonly observe: (what: { type: 'longtask' }) => void; readonly disconnect: () => void };
interface Loaded {
  readonly name: string;
  readonly entryType: string;
  readonly encodedBodySize: number;
}
interface Card {
  readonly getBoundingClientRect: () => { readonly top: number; readonly bottom: number };
  readonly querySelector: (selector: string) => { readonly naturalWidth: number } | null;
}

/** Datasets of many pairs on the page: what is loaded, the time until the first cards are painted, a jump, scrolling, and keys. */
export const benchPage: Benchmark = async ({ folder, isQuick, log }) => {
  const sizes = isQuick ? [2000] : [2000, 10_000];
  const firstOf = (pairs: number): Figure => ({
    what: `a dataset of ${pairs.toLocaleString('en-US')} pairs on the page: first cards painted`,
    ...(pairs > 2000 ? FIRST_OF_MANY : FIRST),
  });
  const why = whyNoBrowser();
  if (why !== undefined) {
    const figures = [FIRST_LOAD, ...sizes.map(firstOf), JUMP, GREY, TASK, FRAMES, ...KEY_FIGURES];
    return figures.map(({ what }) => rowNotMeasured(what, why, '≤ 1'));
  }
  const dataFolder = join(folder, 'data');
  await mkdir(dataFolder);
  const filled = await fillCatalog(
    { dataFolder },
    sizes.map((pairs) => ({ account: `of-${pairs}`, datasets: 1, images: pairs, captions: pairs })),
  );
  const photos = await writePhotos(folder, PHOTOS);
  await fillBlobs(dataFolder, await Promise.all(photos.map((path) => readFile(path))));
  const [browser, server] = await Promise.all([startBrowser(), startServer({}, { dataFolder })]);
  const rows: Row[] = [];
  try {
    for (const [index, { token, datasetIds }] of filled.entries()) {
      const isLast = index === filled.length - 1;
      const firsts: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const { page, context } = await visit(browser, server, { token, path: `/datasets/${datasetIds[0]}` });
        firsts.push(await firstRowsMs(page));
        // tsx calls it on each function that has a name, in the browser too.
        await page.evaluate('globalThis.__name = (named) => named');
        log(`first cards after ${formatFigure(firsts.at(-1)!)} ms`);
        if (index === 0 && round === 0) rows.push(rowOf(FIRST_LOAD, await loadedKilobytes(page)));
        if (isLast && round === ROUNDS - 1) {
          const { ms, grey } = await jump(page);
          const frames = await framesPerSecond(page);
          rows.push(rowOf(JUMP, ms), rowOf(GREY, grey), rowOf(FRAMES, frames), rowOf(TASK, await longestTaskMs(page)));
        }
        await context.close();
      }
      rows.push(rowOf(firstOf(sizes[index]!), median(firsts)));
    }
    return [...rows, ...(await keyRows(browser, server))];
  } finally {
    await browser.close();
    await discardServer(server);
  }
};

function rowOf({ what, unit, limit, isFloor = false }: Figure, value: number): Row {
  const isNone = unit === 'ms' && value === 0;
  const measured = isNone ? `none over ${SHORTEST_LONG_TASK_MS} ms` : `${formatFigure(value)} ${unit}`;
  const reference = `${isFloor ? 'at least' : 'limit'} ${limit} ${unit}`;
  const ratio = limit === 0 ? value : value / limit;
  // A browser without a display is a little off its 60 frames a second.
  const bound = isFloor ? { atLeast: 0.95 } : { atMost: limit === 0 ? 0 : 1 };
  return rowWithTarget({ what, measured, reference, ratio }, bound);
}

/** What the scripts, styles and the document took on the wire. */
function loadedKilobytes(page: Page): Promise<number> {
  return page.evaluate(() => {
    const { getEntries } = performance as unknown as { getEntries: () => readonly Loaded[] };
    const loaded = getEntries.call(performance);
    const isCode = ({ name, entryType }: Loaded) =>
      entryType === 'navigation' || (entryType === 'resource' && /\.(js|css|svg|woff2)$/.test(name));
    return loaded.filter(isCode).reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0) / 1000;
  });
}

/** Scrolls to the middle at once: until every visible card has its image, and the cards that had nothing in the first frame. */
function jump(page: Page): Promise<{ ms: number; grey: number }> {
  return page.evaluate(async () => {
    const frame = () => new Promise<number>((resolve) => requestAnimationFrame(resolve));
    const visible = () =>
      [...document.querySelectorAll('article')].filter((card) => {
        const { top, bottom } = card.getBoundingClientRect();
        return bottom > 0 && top < window.innerHeight;
      });
    const hasImage = (card: Card) => (card.querySelector('img')?.naturalWidth ?? 0) > 0;
    const start = performance.now();
    window.scrollTo(0, document.documentElement.scrollHeight / 2);
    await frame();
    await frame();
    const grey = visible().filter((card) => !hasImage(card) && card.querySelector('canvas') === null).length;
    while (visible().length === 0 || !visible().every(hasImage)) await frame();
    return { ms: performance.now() - start, grey };
  });
}

/** Scrolls for two seconds. */
function framesPerSecond(page: Page): Promise<number> {
  return page.evaluate(async () => {
    const frame = () => new Promise<number>((resolve) => requestAnimationFrame(resolve));
    const start = await frame();
    let [frames, now] = [0, start];
    for (; now - start < 2000; frames++) {
      window.scrollBy(0, 15);
      now = await frame();
    }
    return (frames * 1000) / (now - start);
  });
}

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
      await new Promise<void>((resolve) => requestAnimationFrame(() => resolve()));
    }
    observer.disconnect();
    return longest;
  });
}
