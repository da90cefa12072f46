import { type Look, lookAt } from './image-analysis.js';
import type { Pixels } from './luma.js';
import { similarGroups } from './similar.js';
import type { Answer, Question } from './worker-protocol.js';

/*
 * Beside the page, which stays quick meanwhile: decodes thumbnails and looks at their pixels, and finds those that are alike.
 * It fetches nothing by itself, so that its policy can forbid that.
 */

const canvas = new OffscreenCanvas(1, 1);
const drawing = canvas.getContext('2d', { willReadFrequently: true })!;

addEventListener('message', async ({ data }: MessageEvent<Question>) => {
  if ('images' in data) answer({ groups: similarGroups(data.images, data.most) });
  else answer({ sha256: data.sha256, look: await lookOf(data.thumbnail) });
});

async function lookOf(thumbnail: Blob): Promise<Look | undefined> {
  try {
    return lookAt(await pixelsOf(thumbnail));
  } catch {
    // Not to be decoded here: as if there were none.
    return undefined;
  }
}

async function pixelsOf(thumbnail: Blob): Promise<Pixels> {
  const bitmap = await createImageBitmap(thumbnail);
  const { width, height } = bitmap;
  // Nothing is awaited from here on, so that images under way at once can share the canvas.
  canvas.width = width;
  canvas.height = height;
  drawing.drawImage(bitmap, 0, 0);
  bitmap.close();
  return drawing.getImageData(0, 0, width, height);
}

function answer(message: Answer): void {
  postMessage(message);
}
