import { useState } from 'react';
import type { DatasetFile, Problem } from '../../../src/client/client.js';
import { stemOf } from '../../../src/dataset/media.js';
import { useDataset } from '../../live/dataset.js';
import { deleteFiles, useDeletion } from '../../pairs/selection/deletion.js';
import { useClient, useConnect } from '../../session/client.js';
import { WriteButton } from '../../session/write-button.js';
import { messageOf, numberOf } from '../../ui/format.js';
import { chooseFiles } from '../../upload/add-files/dropped-files.js';
import { MAX_READ_BYTES, type Reading, readingsOf, ungarbled } from './caption-encodings.js';
import { convertImages, useConversion } from './convert/conversions.js';
import { EncodingDialog } from './encoding-dialog.js';
import { renamesFor } from './renames.js';

interface FixProps {
  readonly datasetId: string;
  readonly problem: Problem;
  readonly files: ReadonlyMap<string, DatasetFile>;
}

/** What solves a problem in place, beside its message; nothing for most. */
export function FixActions({ datasetId, problem, files }: FixProps) {
  const file = files.get(problem.filename ?? '');
  if (renamesFor(problem, files).length > 0) return <RenameButton {...{ datasetId, files }} problems={[problem]} />;
  if (problem.code === 'ORPHAN_CAPTION' && file !== undefined)
    return <DeleteButton datasetId={datasetId} files={[file]} />;
  if (ENCODING_CODES.has(problem.code) && problem.filename !== undefined) {
    return <EncodingButton {...{ datasetId, file }} filename={problem.filename} />;
  }
  return null;
}

const ENCODING_CODES: ReadonlySet<string> = new Set([
  'CAPTION_NOT_UTF8',
  'CAPTION_HAS_NUL',
  'CAPTION_BOM',
  'GARBLED_CAPTION',
]);

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

function DeleteButton({ datasetId, files }: { datasetId: string; files: readonly DatasetFile[] }) {
  const connect = useConnect();
  const { refetch } = useDataset(datasetId);
  const { isRunning } = useDeletion(datasetId);
  const [first] = files;
  return (
    <WriteButton
      kind="danger"
      aria-label={files.length === 1 ? `Delete ${first!.filename}` : undefined}
      disabled={isRunning}
      onClick={() => {
        const toDelete = files.map(({ filename, etag }) => ({ stem: stemOf(filename), filename, etag }));
        void deleteFiles(toDelete, { connect, datasetId, refetch });
      }}
    >
      {files.length === 1 ? 'Delete' : `Delete all ${numberOf(files.length)}`}
    </WriteButton>
  );
}

function RenameButton({ datasetId, problems, files }: Omit<FixProps, 'problem'> & { problems: readonly Problem[] }) {
  const connect = useConnect();
  const { refetch } = useDataset(datasetId);
  const { isRunning } = useConversion(datasetId);
  const [first] = problems;
  const isShared = first!.code === 'SHARED_STEM';
  const all = problems.length > 1 ? ` all ${numberOf(problems.length)}` : '';
  const renames = renamesFor(first!, files);
  const what = renames.some(({ isCopied }) => isCopied) ? 'its own caption' : 'its own name';
  return (
    <WriteButton
      disabled={isRunning}
      title={isShared ? 'The first keeps its name. The others are renamed, each with a copy of the caption' : undefined}
      onClick={() => {
        const wanted = problems.flatMap((problem) => renamesFor(problem, files));
        void convertImages(wanted, { connect, datasetId, refetch });
      }}
    >
      {isShared ? `Give each ${what}${all && `,${all}`}` : all ? `Rename${all}` : `Rename to ${renames[0]?.to}`}
    </WriteButton>
  );
}

/** The first byte of a byte order mark in UTF-8. */
const UTF8_MARK = 0xef;

/** Reads the stored caption, or the original of a rejected one, which the user chooses. */
function EncodingButton(props: { datasetId: string; filename: string; file: DatasetFile | undefined }) {
  const { datasetId, filename, file } = props;
  const client = useClient();
  const [readings, setReadings] = useState<readonly Reading[]>();
  const [failure, setFailure] = useState('');
  const read = async (original: Blob) => {
    const bytes = new Uint8Array(await original.slice(0, MAX_READ_BYTES + 1).arrayBuffer());
    if (bytes.length > MAX_READ_BYTES) return setFailure('It is too long for a caption.');
    const found = readingsOf(bytes);
    const meant = found[0]?.encoding === 'utf-8' ? ungarbled(found[0].text) : undefined;
    if (file !== undefined && meant === undefined && bytes[0] !== UTF8_MARK) {
      return setFailure('How it was meant is not certain. Correct it in its field.');
    }
    const repaired = meant === undefined ? [] : [{ encoding: 'UTF-8, read as Windows-1252', text: meant }];
    setReadings([...repaired, ...found]);
  };
  const start = () => {
    setFailure('');
    if (file === undefined)
      return chooseFiles({ accept: '.txt,text/plain' }, ([original]) => original && void read(original));
    client
      .file(datasetId, filename)
      .then((response) => response.blob())
      .then(read)
      .catch((error: unknown) => setFailure(messageOf(error)));
  };
  return (
    <>
      <span role="alert" className="text-bad empty:hidden">
        {failure}
      </span>
      <WriteButton
        aria-label={file === undefined ? `Convert … the original of ${filename}` : `Convert ${filename}`}
        onClick={start}
      >
        {file === undefined ? 'Convert …' : 'Convert'}
      </WriteButton>
      {readings !== undefined && (
        <EncodingDialog
          {...{ datasetId, filename, readings }}
          etag={file?.etag ?? null}
          onClose={() => setReadings(undefined)}
        />
      )}
    </>
  );
}
