import type { DatasetFile, TrainyardClient } from '../../../src/client/client.js';
import { nameForFormat, TakenNames } from '../../../src/dataset/fix/media-names.js';
import { stemOf } from '../../../src/dataset/media.js';
import { FIX_ADVICE } from '../../../src/dataset/problems.js';
import { useDataset } from '../../live/dataset.js';
import { type Connect, newChangeId, signOutIfUnauthorized, useConnect } from '../../session/client.js';
import { recordChange } from '../../undo/recent-change.js';
import { countOf, messageOf } from '../../ui/format.js';
import { Store, warnBeforeLeaving } from '../../ui/store.js';
import { convertedImage, UnconvertibleImage } from './convert-image.js';

/** A file of a problem: an image that the trainer does not read or, with `to`, one that gets another name. */
export interface FileToFix {
  readonly filename: string;
  /** The stored file; `undefined` for an upload that was rejected, of which the service has no bytes. */
  readonly stored: DatasetFile | undefined;
  /** Opens the original that the user has chosen; without it, the stored bytes are read. */
  readonly original?: File;
  /** The new name. The bytes stay the same. */
  readonly to?: string;
  /** The file stays beside the one of the new name. */
  readonly isCopied?: boolean;
}

interface Conversion {
  readonly isRunning: boolean;
  readonly done: number;
  readonly total: number;
  /** Why images were not converted, as sentences, by filename. */
  readonly faults: ReadonlyMap<string, string>;
}

const IDLE: Conversion = { isRunning: false, done: 0, total: 0, faults: new Map() };

const conversions = new Store<Conversion>();

warnBeforeLeaving(() => conversions.values().some(({ isRunning }) => isRunning));

/** The conversion of a dataset, and a function that starts one. */
export function useConvert(datasetId: string) {
  const connect = useConnect();
  const { refetch } = useDataset(datasetId);
  const convert = (images: readonly FileToFix[]) => void convertImages(images, { connect, datasetId, refetch });
  return { ...(conversions.useValue(datasetId) ?? IDLE), convert };
}

interface ConversionOptions {
  readonly connect: Connect;
  readonly datasetId: string;
  /** Fetches the dataset again. */
  readonly refetch: () => Promise<unknown>;
}

/**
 * Converts images sequentially in this browser. Each result is uploaded under the stem of its image, unless another file has
 * the name. Then the old image is removed, if it was not changed meanwhile.
 */
async function convertImages(images: readonly FileToFix[], options: ConversionOptions): Promise<void> {
  const { connect, datasetId, refetch } = options;
  const before = conversions.get(datasetId) ?? IDLE;
  if (before.isRunning || images.length === 0) return;
  const changeId = newChangeId();
  const client = connect({ how: 'bulk', id: changeId });
  const tried = new Set(images.map(({ filename }) => filename));
  const faults = new Map([...before.faults].filter(([filename]) => !tried.has(filename)));
  // Read once: a file that another client adds meanwhile is not overwritten.
  const reading = client.status(datasetId).then(({ files }) => new TakenNames(files.map(({ filename }) => filename)));
  let converted = 0;
  const report = (done: number, isRunning: boolean) => {
    conversions.set({ isRunning, done, total: images.length, faults: new Map(faults) }, datasetId);
    // After each image, so that what was converted can be undone after a reload too.
    if (converted > 0) {
      const areRenamed = images.every(({ to }) => to !== undefined);
      const text = areRenamed
        ? `${countOf(converted, 'file')} renamed or copied.`
        : `${countOf(converted, 'image')} converted.`;
      recordChange(datasetId, { text, made: { changeId }, isUnfinished: isRunning });
    }
  };
  report(0, true);
  for (const [index, image] of images.entries()) {
    try {
      await convertOne(client, { datasetId, names: await reading }, image);
      converted++;
    } catch (error) {
      faults.set(image.filename, faultOf(image, error));
      signOutIfUnauthorized(error);
    }
    report(index + 1, true);
  }
  await refetch();
  report(images.length, false);
}

async function convertOne(
  client: TrainyardClient,
  { datasetId, names }: { readonly datasetId: string; readonly names: TakenNames },
  { filename, stored, original, to, isCopied = false }: FileToFix,
): Promise<void> {
  const source = original ?? (await (await client.file(datasetId, filename)).blob());
  const { bytes, format } = to === undefined ? await convertedImage(source) : { bytes: source, format: undefined };
  const name = to ?? nameForFormat(filename, format!);
  const taken = names.claim(name, { from: filename, isConverted: to === undefined });
  if (taken !== undefined) throw new UnconvertibleImage(taken, { canCommand: false });
  const ifMatch = { [name]: name === stored?.filename ? stored.etag : null };
  const file = { name, size: bytes.size, open: async () => bytes };
  const { failed } = await client.push({ id: datasetId }, [file], { ifMatch });
  if (failed[0] !== undefined) throw failed[0].error;
  if (name === filename || isCopied) return;
  // A new stem is in no group; its captions go along.
  if (stored?.group !== undefined && stemOf(name) !== stemOf(filename)) {
    await client.groups.save(datasetId, stored.group, { add: [name] });
  }
  if (stored === undefined) {
    await client.bulk.withdraw(datasetId, [filename]);
    return;
  }
  const options = { ifMatch: { [filename]: stored.etag } };
  const [answer] = await client.bulk.removeFiles(datasetId, [filename], options);
  if (!answer?.current) return;
  throw new Error(`${filename} was changed meanwhile, and stays beside ${name}. Delete one of them.`);
}

function faultOf({ filename, original }: FileToFix, error: unknown): string {
  if (!(error instanceof UnconvertibleImage)) return messageOf(error);
  const advice = error.canCommand ? ` ${FIX_ADVICE}` : '';
  return `${original?.name ?? filename} ${error.message}.${advice}`;
}
