/* The program of an inspection process of an installation. */
import { loadDecoder } from '../../dataset/inspect/inspect.js';
import { inspectInProcess } from './inspect-jobs.js';

// A decoder is megabytes of code, and a caption or a clip needs none of it.
const converter = () => import('../../dataset/fix/convert-image.js');

await inspectInProcess({
  loadDecoder,
  makeThumbnail: async (source) => (await import('../../dataset/inspect/image/thumbnail.js')).makeThumbnail(source),
  makePicture: async (source) => (await import('../../dataset/inspect/image/thumbnail.js')).makePicture(source),
  convertImage: async (image) => (await converter()).convertImage(image),
  requireConvertible: async (file, image) => (await converter()).requireConvertible(file, image),
});
