import { useState } from 'react';
import type { DatasetFile, Problem } from '../../../src/client/client.js';
import { useDeletion } from '../../pairs/selection/deletion.js';
import { newChangeId, useClient, useConnect } from '../../session/client.js';
import { FormDialog, useRequesting } from '../../session/dialog-form.js';
import { WriteButton } from '../../session/write-button.js';
import { recordChange } from '../../undo/recent-change.js';
import { Alert } from '../../ui/loaded.js';
import { SelectField } from '../../ui/fields.js';
import { numberOf } from '../../ui/format.js';
import { chooseFiles } from '../../upload/add-files/dropped-files.js';
import { MAX_READ_BYTES, type Reading, readingsOf, ungarbled } from './caption-encodings.js';
import { useConvert } from './convert/conversions.js';
import { renamesFor } from './renames.js';

interface FixProps {
  readonly datasetId: string;
  readonly problem: Problem;
  readonly files: ReadonlyMap<string, DatasetFile>;
}

const ENCODING_CODES: ReadonlySet<string> = new Set([
  'CAPTION_NOT_UTF8',
  'CAPTION_HAS_NUL',
  'CAPTION_BOM',
  'GARBLED_CAPTION',
]);

/** What solves a problem in place, beside its message; nothing for most. */
export function FixActions({ datasetId, problem, files }: FixProps) {
  const { code, filename = '' } = problem;
  const file = files.get(filename);
  if (renamesFor(problem, files).length > 0) return <RenameButton {...{ datasetId, files }} problems={[problem]} />;
  if (code === 'ORPHAN_CAPTION' && file !== undefined) return <DeleteButton datasetId={datasetId} files={[file]} />;
  return ENCODING_CODES.has(code) && filename !== '' ? <EncodingButton {...{ datasetId, file, filename }} /> : null;
}

/** What solves all problems of a kind at once. */
export function FixAll({ datasetId, problems, files }: Omit<FixProps, 'problem'> & { problems: readonly Problem[] }) {
  const orphans = problems.flatMap(({ code, filename = '' }) =>
    code === 'ORPHAN_CAPTION' ? (files.get(filename) ?? []) : [],
  );
  const renamed = problems.filter((problem) => renamesFor(problem, files).length > 0);
  if (orphans.length < 2 && renamed.length < 2) return null;
  return (
    <div className="flex justify-end border-b border-line px-3 py-2">
      {orphans.length > 1 && <DeleteButton datasetId={datasetId} files={orphans} />}
      {renamed.length > 1 && <RenameButton {...{ datasetId, files }} problems={renamed} />}
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

function RenameButton({ datasetId, problems, files }: Omit<FixProps, 'problem'> & { problems: readonly Problem[] }) {
  const { isRunning, convert } = useConvert(datasetId);
  const [first] = problems;
  const isShared = first!.code === 'SHARED_STEM';
  const all = problems.length > 1 ? ` all ${numberOf(problems.length)}` : '';
  const renames = renamesFor(first!, files);
  const what = renames.some(({ isCopied }) => isCopied) ? 'its own caption' : 'its own name';
  return (
    <WriteButton
      disabled={isRunning}
      title={isShared ? 'The first keeps its name. The others are renamed, each with a copy of the caption' : undefined}
      onClick={() => convert(problems.flatMap((problem) => renamesFor(problem, files)))}
    >
      {isShared ? `Give each ${what}${all && `,${all}`}` : all ? `Rename${all}` : `Rename to ${renames[0]?.to}`}
    </WriteButton>
  );
}

/** The first byte of a byte order mark in UTF-8. */
const UTF8_MARK = 0xef;

interface EncodingProps {
  readonly datasetId: string;
  readonly filename: string;
  /** The stored caption; `undefined` for an upload that was rejected. */
  readonly file: DatasetFile | undefined;
}

/** Reads the stored caption, or the original of a rejected one, which the user chooses. */
function EncodingButton(props: EncodingProps) {
  const { datasetId, filename, file } = props;
  const client = useClient();
  const [readings, setReadings] = useState<readonly Reading[]>();
  const { failure, run } = useRequesting();
  const read = async (original: Blob) => {
    const bytes = new Uint8Array(await original.slice(0, MAX_READ_BYTES + 1).arrayBuffer());
    if (bytes.length > MAX_READ_BYTES) throw new Error('It is too long for a caption.');
    const found = readingsOf(bytes);
    const meant = found[0]?.encoding === 'utf-8' ? ungarbled(found[0].text) : undefined;
    if (file !== undefined && meant === undefined && bytes[0] !== UTF8_MARK) {
      throw new Error('How it was meant is not certain. Correct it in its field.');
    }
    const repaired = meant === undefined ? [] : [{ encoding: 'UTF-8, read as Windows-1252', text: meant }];
    setReadings([...repaired, ...found]);
  };
  const start = () => {
    if (file !== undefined) void run(async () => read(await (await client.file(datasetId, filename)).blob()));
    else chooseFiles({ accept: '.txt,text/plain' }, ([original]) => original && void run(() => read(original)));
  };
  return (
    <>
      <Alert>{failure}</Alert>
      <WriteButton
        aria-label={file === undefined ? `Convert … the original of ${filename}` : `Convert ${filename}`}
        onClick={start}
      >
        {file === undefined ? 'Convert …' : 'Convert'}
      </WriteButton>
      {readings !== undefined && (
        <EncodingDialog {...props} readings={readings} onClose={() => setReadings(undefined)} />
      )}
    </>
  );
}

interface EncodingDialogProps extends EncodingProps {
  readonly readings: readonly Reading[];
  readonly onClose: () => void;
}

/** Shows how a caption reads in an encoding, and saves it as UTF-8. */
function EncodingDialog({ datasetId, filename, file, readings, onClose }: EncodingDialogProps) {
  const connect = useConnect();
  const [encoding, setEncoding] = useState(readings[0]?.encoding ?? '');
  const reading = readings.find((each) => each.encoding === encoding);
  const save = async () => {
    const changeId = newChangeId();
    const text = reading!.text.replace(/^\ufeff+/, '');
    const client = connect({ how: 'bulk', id: changeId });
    const [saved] = await client.bulk.saveCaptions(datasetId, [{ filename, text, ifMatch: file?.etag ?? null }]);
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
