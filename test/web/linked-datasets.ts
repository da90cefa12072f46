import type { LinkSlot, Role } from '../../src/dataset/dataset.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import type { Visit } from '../harness/browser.js';
import type { OpenOptions } from '../harness/describe-in-browser.js';

type Files = Record<string, Buffer | string>;

/** Creates a dataset with this role and these files, and returns its id. */
export async function datasetWith(api: Api, files: Files, { role, name }: { role?: Role; name?: string } = {}) {
  const { body } = await api.json<{ id: string }>('POST', '', { name, role });
  await Promise.all(Object.entries(files).map(([filename, bytes]) => api.upload(body.id, filename, bytes)));
  return body.id;
}

interface Site {
  readonly api: Api;
  open(path?: string, options?: OpenOptions): Promise<Visit>;
}

/** Creates a dataset with these files, and opens its page, or the view of this path. */
export async function openDataset(site: Site, files: Files | Promise<Files>, path = '', options: OpenOptions = {}) {
  const id = await datasetWith(site.api, await files);
  return { id, ...(await site.open(`/datasets/${id}${path}`, options)) };
}

/** The text of each caption, by its filename. */
export async function captionsOf(api: Api, id: string): Promise<Record<string, string>> {
  const names = (await api.filenames(id)).filter((name) => name.endsWith('.txt'));
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await api.text(id, name)])));
}

/** Creates a dataset of this role with one image of each stem, and a caption for each if it is a training dataset. */
export async function datasetOfRole(api: Api, name: string, role: Role, stems: readonly string[]): Promise<string> {
  const image = await media.jpeg({ seed: role.length });
  const filesOf = (stem: string): [string, Buffer | string][] => [
    [`${stem}.jpg`, image],
    ...(role === 'training' ? [[`${stem}.txt`, `the caption of ${stem}`] as [string, string]] : []),
  ];
  return datasetWith(api, Object.fromEntries(stems.flatMap(filesOf)), { name, role });
}

export async function linkDatasets(api: Api, target: string, links: Partial<Record<LinkSlot, string>>) {
  const { status, body } = await api.json('PUT', `/${target}/links`, links);
  if (status !== 200) throw new Error(JSON.stringify(body));
}

/** Targets of these stems, each with its caption. */
export async function targetsOf(stems: readonly string[]): Promise<Files> {
  const files: Files = {};
  for (const [seed, stem] of stems.entries()) {
    files[`${stem}.jpg`] = await media.jpeg({ seed });
    files[`${stem}.txt`] = `a wagon at ${stem}`;
  }
  return files;
}

/** Controls or masks of these stems. */
export async function controlsOf(stems: readonly string[]): Promise<Files> {
  const files: Files = {};
  for (const [seed, stem] of stems.entries()) files[`${stem}.png`] = await media.png({ seed: seed + 100 });
  return files;
}

/** `01` to so many. */
export function stemsTo(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index + 1).padStart(2, '0'));
}

type Captions = Readonly<Record<string, string | Buffer | undefined>>;

/** An image of each stem, with its caption unless that is `undefined`. */
export async function captionedImages(captions: Captions): Promise<Files> {
  const image = await media.jpeg();
  const files: Files = {};
  for (const [stem, text] of Object.entries(captions)) {
    files[`${stem}.jpg`] = image;
    if (text !== undefined) files[`${stem}.txt`] = text;
  }
  return files;
}
