import { analyze, type ImageAnalysis, type Pixels } from './image-analysis.js';

/*
 * Decodes thumbnails and analyzes their pixels, off the page's main thread. The worker makes no requests, so that its
 * Content-Security-Policy can forbid them. A message is a thumbnail and the port of its answer.
 */

const canvas = new OffscreenCanvas(1, 1);
const drawing = canvas.getContext('2d', { willReadFrequently: true })!;

addEventListener('message', async ({ data: thumbnail, ports }: MessageEvent<Blob>) => {
  ports[0]?.postMessage(await analysisOf(thumbnail));
});

/** Returns `undefined` for a thumbnail that the browser can't decode. */
async function analysisOf(thumbnail: Blob): Promise<ImageAnalysis | undefined> {
  try {
    return analyze(await pixelsOf(thumbnail));
  } catch {
    return undefined;
  }
}

async function pixelsOf(thumbnail: Blob): Promise<Pixels> {
  const bitmap = await createImageBitmap(thumbnail);
  const { width, height } = bitmap;
  // No await from here on: images that are decoded concurrently share the canvas.
  canvas.width = width;
  canvas.height = height;
  drawing.drawImage(bitmap, 0, 0);
  bitmap.close();
  return drawing.getImageData(0, 0, width, height);
}
