import { useState } from 'react';
import type { DatasetFile } from '../../../src/client/client.js';
import { newChangeId, useClient, useConnect } from '../../session/client.js';
import { FormDialog, useRequesting } from '../../session/dialog-form.js';
import { WriteButton } from '../../session/write-button.js';
import { recordChange } from '../../undo/recent-change.js';
import { Alert } from '../../ui/loaded.js';
import { SelectField } from '../../ui/fields.js';
import { chooseFiles } from '../../upload/add-files/dropped-files.js';
import { MAX_READ_BYTES, type Reading, readingsOf, ungarbled } from './caption-encodings.js';

/** The first byte of a byte order mark in UTF-8. */
const UTF8_MARK = 0xef;

interface EncodingProps {
  readonly datasetId: string;
  readonly filename: string;
  /** The stored caption; `undefined` for an upload that was rejected. */
  readonly stored: DatasetFile | undefined;
}

/** Reads the stored caption, or the original of a rejected one, which the user chooses. */
export function EncodingButton(props: EncodingProps) {
  const { datasetId, filename, stored } = props;
  const client = useClient();
  const [readings, setReadings] = useState<readonly Reading[]>();
  const { failure, run } = useRequesting();
  const read = async (original: Blob) => {
    const bytes = new Uint8Array(await original.slice(0, MAX_READ_BYTES + 1).arrayBuffer());
    if (bytes.length > MAX_READ_BYTES) throw new Error('It is too long for a caption.');
    const found = readingsOf(bytes);
    const meant = found[0]?.encoding === 'utf-8' ? ungarbled(found[0].text) : undefined;
    if (stored !== undefined && meant === undefined && bytes[0] !== UTF8_MARK) {
      throw new Error('How it was meant is not certain. Correct it in its field.');
    }
    const repaired = meant === undefined ? [] : [{ encoding: 'UTF-8, read as Windows-1252', text: meant }];
    setReadings([...repaired, ...found]);
  };
  const start = () => {
    if (stored !== undefined) void run(async () => read(await (await client.file(datasetId, filename)).blob()));
    else chooseFiles({ accept: '.txt,text/plain' }, ([original]) => original && void run(() => read(original)));
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
function EncodingDialog({ datasetId, filename, stored, readings, onClose }: EncodingDialogProps) {
  const connect = useConnect();
  const [encoding, setEncoding] = useState(readings[0]?.encoding ?? '');
  const reading = readings.find((each) => each.encoding === encoding);
  const save = async () => {
    const changeId = newChangeId();
    const text = reading!.text.replace(/^\ufeff+/, '');
    const client = connect({ how: 'bulk', id: changeId });
    const [saved] = await client.bulk.saveCaptions(datasetId, [{ filename, text, ifMatch: stored?.etag ?? null }]);
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
