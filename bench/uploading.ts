import type { Api } from '../test/harness/api.js';
import { inChild } from './child.js';
import type { Load, Loaded } from './load.js';

const LOAD = new URL('./load.ts', import.meta.url);

/** What is uploaded: images, taken in turns, each with a caption; or captions alone, which cost next to nothing to check. */
export type What = { readonly images: readonly string[] } | 'captions';

/**
 * Sends uploads to a server from a process of its own, into a dataset of their own.
 *
 * @param options.count pairs, or captions
 */
export async function upload(api: Api, what: What, options: { count: number; connections: number }): Promise<Loaded> {
  const { count, connections } = options;
  const target = { url: api.url, token: api.token, datasetId: await api.newDataset() };
  return inChild<Load, Loaded>(
    LOAD,
    what === 'captions'
      ? { kind: 'captions', target, connections, captions: count }
      : { kind: 'pairs', target, connections, pairs: count, images: what.images },
  );
}
