import type { Api } from '../test/harness/api.js';
import { inChild } from './child.js';
import type { Load, LoadResult, Target } from './load.js';

const LOAD = new URL('./load.ts', import.meta.url);

/** Images, repeated in order, each with a caption; or captions only, which take almost no time to check. */
export type UploadContent = { readonly images: readonly string[] } | 'captions';

/**
 * Uploads into a new dataset, from a separate process.
 *
 * @param options.count number of pairs, or of captions
 */
export async function upload(
  api: Api,
  what: UploadContent,
  options: { count: number; connections: number },
): Promise<LoadResult> {
  return uploadTo({ url: api.url, token: api.token, datasetId: await api.newDataset() }, what, options);
}

/** Uploads to any server that takes the same requests. */
export function uploadTo(
  target: Target,
  what: UploadContent,
  options: { count: number; connections: number },
): Promise<LoadResult> {
  const { count, connections } = options;
  return inChild<Load, LoadResult>(
    LOAD,
    what === 'captions'
      ? { kind: 'captions', target, connections, captions: count }
      : { kind: 'pairs', target, connections, pairs: count, images: what.images },
  );
}
