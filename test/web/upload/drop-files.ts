import type { JSHandle, Locator, Page } from 'playwright-core';

/** Where the page of a dataset takes files, and where folders. */
export const FILES = 'input[type=file]:not([webkitdirectory])';
export const FOLDER = 'input[type=file][webkitdirectory]';

export interface Bytes {
  readonly name: string;
  readonly mimeType: string;
  readonly buffer: Buffer;
}

/** A file as somebody picks or drags it. */
export function bytesOf(name: string, bytes: Buffer | string): Bytes {
  return { name, mimeType: 'application/octet-stream', buffer: Buffer.from(bytes as string) };
}

/** What a browser makes of files that somebody drags. */
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

/** What tells of uploads on every page. */
export function dockOf(page: Page): Locator {
  return page.getByRole('region', { name: 'Uploads', exact: true });
}
