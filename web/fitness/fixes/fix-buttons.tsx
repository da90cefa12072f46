import { useState } from 'react';
import type { DatasetFile } from '../../../src/client/client.js';
import { stemOf } from '../../../src/dataset/media.js';
import { useDeletion } from '../../pairs/selection/deletion.js';
import { newChangeId, useClient, useConnect } from '../../session/client.js';
import { FormDialog, useRequesting } from '../../session/dialog-form.js';
import { WriteButton } from '../../session/write-button.js';
import { SelectField } from '../../ui/fields.js';
import { numberOf } from '../../ui/format.js';
import { Alert } from '../../ui/loaded.js';
import { recordChange } from '../../undo/recent-change.js';
import { chooseFiles } from '../../upload/add-files/dropped-files.js';
import { MAX_READ_BYTES, type Reading, readingsOf, ungarbled } from './caption-encodings.js';
import { type FileToFix, useConvert } from './conversions.js';
import type { ProblemFix } from './problem-fixes.js';

const ACCEPTED = 'image/*,.heic,.heif';

interface FixButtonsProps {
  readonly datasetId: string;
  /** Of problems of one kind. */
  readonly fixes: readonly ProblemFix[];
}

/** Solves a problem in place, or all problems of a kind at once. */
export function FixButtons({ datasetId, fixes }: FixButtonsProps) {
  const files = fixes.flatMap((fix) => fix.files);
  const kind = fixes[0]?.kind;
  switch (kind) {
    case 'delete':
      return <DeleteButton datasetId={datasetId} files={files.flatMap(({ stored }) => stored ?? [])} />;
    case 'encoding':
      return files.length === 1 && <EncodingButton datasetId={datasetId} {...files[0]!} />;
    case 'convert':
      return <ConvertButtons datasetId={datasetId} images={files} />;
    case 'rename':
    case 'separate':
      return <RenameButton {...{ datasetId, files }} isShared={kind === 'separate'} count={fixes.length} />;
    default:
      return null;
  }
}

/** Says what a conversion does, and shows its progress. */
export function ConversionNote({ datasetId, fixes }: FixButtonsProps) {
  const { isRunning, done, total } = useConvert(datasetId);
  const needsOriginals = fixes.some(({ kind, files }) => kind === 'convert' && files[0]?.stored === undefined);
  if (!fixes.some(({ kind }) => kind === 'convert')) return null;
  return (
    <div className="mr-auto max-w-prose">
      <p>
        Convert makes a PNG of the same name, size and colours, upright and in sRGB, in this browser.
        {needsOriginals && ' Choose the original: the service keeps no rejected file.'}
      </p>
      <p role="status" className="empty:hidden">
        {isRunning ? `Converting ${numberOf(Math.min(done + 1, total))} of ${numberOf(total)} …` : ''}
      </p>
    </div>
  );
}

/** Deletes stored files, which the history keeps. */
export function DeleteButton({ datasetId, files }: { datasetId: string; files: readonly DatasetFile[] }) {
  const { isRunning, remove } = useDeletion(datasetId);
  const [first] = files;
  return (
    <WriteButton
      kind="danger"
      aria-label={files.length === 1 ? `Delete ${first!.filename}` : undefined}
      disabled={isRunning}
      onClick={() => remove(files)}
    >
      {files.length === 1 ? 'Delete' : `Delete all ${numberOf(files.length)}`}
    </WriteButton>
  );
}

interface RenameButtonProps {
  readonly datasetId: string;
  readonly files: readonly FileToFix[];
  readonly isShared: boolean;
  readonly count: number;
}

function RenameButton({ datasetId, files, isShared, count }: RenameButtonProps) {
  const { isRunning, convert } = useConvert(datasetId);
  const all = count > 1 ? ` all ${numberOf(count)}` : '';
  const what = files.some(({ isCopied }) => isCopied) ? 'its own caption' : 'its own name';
  return (
    <WriteButton
      disabled={isRunning}
      title={isShared ? 'The first keeps its name. The others are renamed, each with a copy of the caption' : undefined}
      onClick={() => convert(files)}
    >
      {isShared ? `Give each ${what}${all && `,${all}`}` : all ? `Rename${all}` : `Rename to ${files[0]?.to}`}
    </WriteButton>
  );
}

/** Converts stored images, and the originals of rejected ones, which the user chooses. */
function ConvertButtons({ datasetId, images }: { datasetId: string; images: readonly FileToFix[] }) {
  const { isRunning, convert } = useConvert(datasetId);
  const [failure, setFailure] = useState('');
  const stored = images.filter((image) => image.stored !== undefined);
  const rejected = images.filter((image) => image.stored === undefined);
  const [isOne, filename] = [images.length === 1, images[0]?.filename];
  const choose = () =>
    chooseFiles({ accept: ACCEPTED, multiple: !isOne }, (files) => {
      const matched = rejected.flatMap((image) => {
        const original = isOne ? files[0] : originalOf(image, files);
        return original === undefined ? [] : { ...image, original };
      });
      setFailure(matched.length === 0 ? 'None of the chosen files has the name of one that is listed here.' : '');
      convert(matched);
    });
  return (
    <>
      <Alert>{failure}</Alert>
      {(isOne ? stored.length > 0 : stored.length > 1) && (
        <WriteButton
          aria-label={isOne ? `Convert ${filename}` : undefined}
          disabled={isRunning}
          onClick={() => convert(stored)}
        >
          {isOne ? 'Convert' : `Convert all ${numberOf(stored.length)}`}
        </WriteButton>
      )}
      {(isOne ? rejected.length > 0 : rejected.length > 1) && (
        <WriteButton
          aria-label={isOne ? `Convert … the original of ${filename}` : undefined}
          disabled={isRunning}
          onClick={choose}
        >
          {isOne ? 'Convert …' : `Choose and convert the originals of all ${numberOf(rejected.length)}`}
        </WriteButton>
      )}
    </>
  );
}

/** The chosen file of the same name or, if there is none, of the same stem. */
function originalOf({ filename }: FileToFix, files: readonly File[]): File | undefined {
  const named = files.map((file) => ({ file, name: file.name.normalize('NFC') }));
  const found =
    named.find(({ name }) => name === filename) ?? named.find(({ name }) => stemOf(name) === stemOf(filename));
  return found?.file;
}

/** The first byte of a byte order mark in UTF-8. */
const UTF8_MARK = 0xef;

/** The caption, which is not stored if it is an upload that was rejected. */
type EncodingProps = FileToFix & { readonly datasetId: string };

/** Reads the stored caption, or the original of a rejected one, which the user chooses. */
function EncodingButton(props: EncodingProps) {
  const { datasetId, filename, stored } = props;
  const client = useClient();
  const [found, setFound] = useState<Pick<EncodingDialogProps, 'filename' | 'readings' | 'ifMatch'>>();
  const { failure, run } = useRequesting();
  const read = async (original: Blob, ifMatch: string | null) => {
    const bytes = new Uint8Array(await original.slice(0, MAX_READ_BYTES + 1).arrayBuffer());
    if (bytes.length > MAX_READ_BYTES) throw new Error('It is too long for a caption.');
    const readings = readingsOf(bytes);
    const meant = readings[0]?.encoding === 'utf-8' ? ungarbled(readings[0].text) : undefined;
    if (stored !== undefined && meant === undefined && bytes[0] !== UTF8_MARK) {
      throw new Error('How it was meant is not certain. Correct it in its field.');
    }
    const repaired = meant === undefined ? [] : [{ encoding: 'UTF-8, read as Windows-1252', text: meant }];
    setFound({ filename, readings: [...repaired, ...readings], ifMatch });
  };
  const readStored = async () => {
    const answer = await client.file(datasetId, filename);
    // A proxy that compresses makes it weak.
    const etag = answer.headers.get('etag')?.replace(/^W\//, '') ?? null;
    await read(await answer.blob(), etag);
  };
  const start = () => {
    if (stored !== undefined) void run(readStored);
    else chooseFiles({ accept: '.txt,text/plain' }, ([original]) => original && void run(() => read(original, null)));
  };
  return (
    <>
      <Alert>{failure}</Alert>
      <WriteButton
        aria-label={stored === undefined ? `Convert … the original of ${filename}` : `Convert ${filename}`}
        onClick={start}
      >
        {stored === undefined ? 'Convert …' : 'Convert'}
      </WriteButton>
      {found !== undefined && <EncodingDialog {...props} {...found} onClose={() => setFound(undefined)} />}
    </>
  );
}

interface EncodingDialogProps extends Omit<EncodingProps, 'stored'> {
  readonly readings: readonly Reading[];
  /** The ETag of the version that was read; `null` for a file that is not stored. */
  readonly ifMatch: string | null;
  readonly onClose: () => void;
}

/** Shows how a caption reads in an encoding, and saves it as UTF-8. */
function EncodingDialog({ datasetId, filename, readings, ifMatch, onClose }: EncodingDialogProps) {
  const connect = useConnect();
  const [encoding, setEncoding] = useState(readings[0]?.encoding ?? '');
  const reading = readings.find((each) => each.encoding === encoding);
  const save = async () => {
    const changeId = newChangeId();
    const text = reading!.text.replace(/^\ufeff+/, '');
    const client = connect({ how: 'bulk', id: changeId });
    const [saved] = await client.bulk.saveCaptions(datasetId, [{ filename, text, ifMatch }]);
    if (saved?.saved !== true) throw new Error(saved?.problem?.message ?? `${filename} was changed meanwhile.`);
    recordChange(datasetId, { text: `${filename} saved as UTF-8.`, made: { changeId } });
    onClose();
  };
  return (
    <FormDialog
      title={`Save ${filename} as UTF-8`}
      onClose={onClose}
      work={save}
      label="Save"
      busyLabel="Saving …"
      isDisabled={reading === undefined}
    >
      {readings.length > 1 && (
        <SelectField
          label="Written in"
          value={encoding}
          options={readings.map((each) => each.encoding)}
          onChange={setEncoding}
        />
      )}
      {reading === undefined ? (
        <p className="text-bad">It is no text in any encoding that this page knows. Write the caption again.</p>
      ) : (
        <figure className="flex flex-col gap-1 text-sm">
          <figcaption className="text-muted">It then reads:</figcaption>
          <blockquote className="max-h-60 overflow-y-auto rounded-lg border border-line p-3 wrap-anywhere whitespace-pre-wrap">
            {reading.text}
          </blockquote>
        </figure>
      )}
    </FormDialog>
  );
}
