import type { JSHandle, Locator, Page } from 'playwright-core';

/** The inputs for files and for folders. */
export const FILES = 'input[type=file]:not([webkitdirectory])';
export const FOLDER = 'input[type=file][webkitdirectory]';

export interface Bytes {
  readonly name: string;
  readonly mimeType: string;
  readonly buffer: Buffer;
}

/** A file to pick or to drop. */
export function bytesOf(name: string, bytes: Buffer | string): Bytes {
  return { name, mimeType: 'application/octet-stream', buffer: Buffer.from(bytes as string) };
}

/** The `DataTransfer` of a drag with these files. */
export function transferOf(page: Page, files: readonly Bytes[]): Promise<JSHandle<DataTransfer>> {
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

/** The bar that shows uploads on every page. */
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
