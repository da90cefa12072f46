import type { JSHandle, Locator, Page } from 'playwright-core';
import { folderWith } from '../../harness/folder.js';

/** The inputs for files and for folders. */
export const FILES = 'input[type=file]:not([webkitdirectory])';
export const FOLDER = 'input[type=file][webkitdirectory]';

/** A file to pick or to drop. */
export function bytesOf(name: string, bytes: Buffer | string) {
  return { name, mimeType: 'application/octet-stream', buffer: Buffer.from(bytes as string) };
}

/** The `DataTransfer` of a drag with these files. */
export function transferOf(page: Page, files: readonly ReturnType<typeof bytesOf>[]): Promise<JSHandle<DataTransfer>> {
  return page.evaluateHandle(
    (all) => {
      const transfer = new DataTransfer();
      for (const { name, text } of all) {
        transfer.items.add(new File([Uint8Array.from(atob(text), (character) => character.charCodeAt(0))], name));
      }
      return transfer;
    },
    files.map(({ name, buffer }) => ({ name, text: buffer.toString('base64') })),
  );
}

/** Drops files on the page. */
export const drop = async (page: Page, ...files: readonly ReturnType<typeof bytesOf>[]) =>
  page.dispatchEvent('body', 'drop', { dataTransfer: await transferOf(page, files) });

/** The card that shows uploads on every page. */
export function dockOf(page: Page): Locator {
  return page.getByRole('region', { name: 'Uploads', exact: true });
}

/** Collects the PUTs and multipart uploads that the page starts. */
export function sendsOf(page: Page): string[] {
  const sends: string[] = [];
  page.on('request', (request) => {
    if (request.method() === 'PUT' || request.url().endsWith('/upload')) sends.push(request.url());
  });
  return sends;
}

/** A folder of that name with these sub-folders; `''` are the files beside them. */
export function folderOfPairs(
  subfolders: Record<string, Record<string, Buffer | string>>,
  name: string,
): Promise<string> {
  const files = Object.entries(subfolders).flatMap(([folder, files]) =>
    Object.entries(files).map(([file, bytes]) => [folder === '' ? file : `${folder}/${file}`, bytes] as const),
  );
  return folderWith(Object.fromEntries(files), name);
}

export const replaceButton = (page: Page, name: string) => page.getByRole('button', { name: `Replace ${name}` });

/** Clicks a button that opens the file chooser, and chooses these files. */
export async function choose(button: Locator, ...files: readonly { name: string; buffer: Buffer }[]): Promise<void> {
  const choosing = button.page().waitForEvent('filechooser');
  await button.click();
  await (await choosing).setFiles(files.map((file) => ({ mimeType: '', ...file })));
}

/** Clicks "Replace" beside a file, and chooses another one. */
export async function replaceFile(
  page: Page,
  replaced: string,
  chosen: { readonly name: string; readonly buffer: Buffer },
): Promise<void> {
  await choose(replaceButton(page, replaced), chosen);
}

/** The line about a file that could not be uploaded, in the details of the card, which this opens. */
export async function failureOf(page: Page, name: string): Promise<Locator> {
  const dock = dockOf(page);
  await showDetails(page);
  const failures = dock.getByRole('list', { name: 'Files that could not be uploaded' });
  return failures.getByRole('listitem').filter({ hasText: name });
}

/** Opens the details of the card, unless they are open. */
export async function showDetails(page: Page): Promise<void> {
  const toggle = dockOf(page).getByRole('button', { name: /(Show|Hide) the details of uploads/ });
  if ((await toggle.getAttribute('aria-expanded')) === 'false') await toggle.click();
}
