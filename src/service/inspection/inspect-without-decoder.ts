/* The program of an inspection process of an installed command, which has no native decoder. */
import { inspectInProcess } from './inspect-jobs.js';

const noDecoder = async () => {
  throw new Error('This command has no image decoder.');
};

await inspectInProcess({
  makeThumbnail: noDecoder,
  makePicture: noDecoder,
  convertImage: noDecoder,
  whyNotConverted: async (_file, { description }) =>
    `is ${description}, which this command can't convert, since it has no decoder. Save it as PNG yourself, or run check --fix where the service is installed`,
});
