/* The program of an inspection process of an installed command, which has no native decoder. */
import { NotFixable } from '../../dataset/fix/not-fixable.js';
import { inspectInProcess } from './inspect-jobs.js';

const noDecoder = async () => {
  throw new Error('This command has no image decoder.');
};

await inspectInProcess({
  makeThumbnail: noDecoder,
  makePicture: noDecoder,
  convertImage: noDecoder,
  requireConvertible: async (_file, { description }) => {
    const reason = `is ${description}, which this command can't convert, since it has no decoder`;
    throw new NotFixable(`${reason}. Save it as PNG yourself, or run check --fix where the service is installed`);
  },
});
