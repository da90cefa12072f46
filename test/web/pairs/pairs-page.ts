import type { Locator, Page, Route } from 'playwright-core';
import { expect } from 'vitest';

/** Polls a value until it meets the expectation, for up to 20 s: the machine may be busy. */
export const soon = <T>(read: () => T, message = '') => expect.poll(read, { message });

// Elements of the page with the files of a dataset, found by what a user sees or hears.
export const cardOf = (page: Page, name: string) => page.getByRole('article', { name, exact: true });
export const boxOf = (page: Page, name: string) => page.getByRole('checkbox', { name: `Select ${name}`, exact: true });
export const pictureOf = (page: Page, name: string) => page.getByRole('button', { name: `Open ${name}`, exact: true });
export const captionOf = (page: Page, name: string) => page.getByLabel(`Caption of ${name}`, { exact: true });
/** The search of the pairs: the tags have one too. */
export const searchOf = (page: Page) => page.getByRole('searchbox', { name: 'Search names and captions' });

/** Takes each request of a page that saves captions, with its number. */
export async function onSave(page: Page, handle: (route: Route, count: number) => Promise<unknown>): Promise<void> {
  let count = 0;
  await page.route(SAVES, async (route) => {
    if (route.request().method() !== 'PUT') return route.continue();
    await handle(route, ++count);
  });
}

/** Also matches the requests that read captions. */
export const SAVES = /\/captions$/;

/** Opens the menu of the dataset, and chooses in it. */
export async function chooseMore(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: 'More', exact: true }).click();
  await page.getByRole('button', { name, exact: true }).click();
}

export const filterOf = (page: Page, name: string) =>
  page.getByRole('group', { name: 'Filter' }).getByRole('button', { name });

/** The labels of the rendered cards, in order. */
export const namesOf = (page: Page) =>
  page.getByRole('article').evaluateAll((cards) => cards.map((card) => card.getAttribute('aria-label')));

/** The label of the focused element. */
export const focusedOf = (page: Page) =>
  page.evaluate(() => {
    const { activeElement } = document;
    return activeElement?.getAttribute('aria-label') ?? activeElement?.querySelector('.sr-only')?.textContent;
  });

/** A panel, and the verdict of the view "Fit to train?". */
export const panel = (page: Page, name: string) => page.getByRole('region', { name, exact: true });
export const verdict = (page: Page, name: string) =>
  panel(page, 'Verdict').getByRole('heading', { name, exact: true }).waitFor();

export const scrollOf = (page: Page) => page.evaluate(() => window.scrollY);

export function isPainted(picture: Locator): Promise<boolean> {
  return picture
    .locator('img')
    .evaluateAll(
      (images: HTMLImageElement[]) => images.length > 0 && images.every(({ naturalWidth }) => naturalWidth > 0),
    );
}
