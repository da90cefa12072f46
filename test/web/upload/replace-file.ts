import type { Locator, Page } from 'playwright-core';
import { dockOf } from './drop-files.js';

export const replaceButton = (page: Page, name: string) => page.getByRole('button', { name: `Replace ${name}` });

/** Clicks "Replace" beside a file, and chooses another one. */
export async function replaceFile(
  page: Page,
  replaced: string,
  chosen: { readonly name: string; readonly buffer: Buffer },
): Promise<void> {
  const choosing = page.waitForEvent('filechooser');
  await replaceButton(page, replaced).click();
  await (await choosing).setFiles({ mimeType: '', ...chosen });
}

/** The line about a file that could not be uploaded. */
export function failureOf(page: Page, name: string): Locator {
  const failures = dockOf(page).getByRole('list', { name: 'Files that could not be uploaded' });
  return failures.getByRole('listitem').filter({ hasText: name });
}
