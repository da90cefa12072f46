import type { Locator, Page } from 'playwright-core';
import { expect } from 'vitest';
import type { Visit } from '../../harness/browser.js';

/** What something comes to be, on a machine that may have much else to do. */
export const soon = <T>(look: () => T, message = '') => expect.poll(look, { timeout: 20_000, message });

/** What tests find on the page of a dataset's files, as people would. */
export const cardOf = (page: Page, name: string) => page.getByRole('article', { name, exact: true });
export const boxOf = (page: Page, name: string) => page.getByRole('checkbox', { name: `Select ${name}`, exact: true });
export const pictureOf = (page: Page, name: string) => page.getByRole('button', { name: `Open ${name}`, exact: true });
export const filterOf = (page: Page, name: string) =>
  page.getByRole('group', { name: 'Filter' }).getByRole('button', { name });

/** Of the cards that are there, in the order in which they are. */
export const namesOf = (page: Page) =>
  page.getByRole('article').evaluateAll((cards) => cards.map((card) => card.getAttribute('aria-label')));

/** What has the keyboard, by what it is called. */
export const focusedOf = (page: Page) =>
  page.evaluate(() => {
    const { activeElement } = document;
    return activeElement?.getAttribute('aria-label') ?? activeElement?.querySelector('.sr-only')?.textContent;
  });

export const scrollOf = (page: Page) => page.evaluate(() => window.scrollY);

export function isPainted(picture: Locator): Promise<boolean> {
  return picture
    .locator('img')
    .evaluateAll(
      (images: HTMLImageElement[]) => images.length > 0 && images.every(({ naturalWidth }) => naturalWidth > 0),
    );
}

/** Ends a visit about which the browser has complained of nothing. */
export async function close({ context, complaints }: Visit): Promise<void> {
  expect(complaints).toEqual([]);
  await context.close();
}
