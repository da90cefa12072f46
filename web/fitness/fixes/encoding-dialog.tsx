import { type FormEvent, useState } from 'react';
import { newChangeId, useConnect } from '../../session/client.js';
import { recordChange } from '../../undo/recent-change.js';
import { Button } from '../../ui/button.js';
import { Dialog, DialogActions } from '../../ui/dialog.js';
import { messageOf } from '../../ui/format.js';
import type { Reading } from './caption-encodings.js';

interface EncodingDialogProps {
  readonly datasetId: string;
  readonly filename: string;
  /** The ETag of the caption that is replaced; `null` if there is none. */
  readonly etag: string | null;
  readonly readings: readonly Reading[];
  readonly onClose: () => void;
}

/** Shows how a caption reads in an encoding, and saves it as UTF-8. */
export function EncodingDialog({ datasetId, filename, etag, readings, onClose }: EncodingDialogProps) {
  const connect = useConnect();
  const [reading, setReading] = useState(readings[0]);
  const [failure, setFailure] = useState('');
  const [isSaving, setSaving] = useState(false);
  const save = async () => {
    if (reading === undefined || isSaving) return;
    setSaving(true);
    const changeId = newChangeId();
    try {
      const text = reading.text.replace(/^\ufeff+/, '');
      const client = connect({ how: 'bulk', id: changeId });
      const [saved] = await client.bulk.saveCaptions(datasetId, [{ filename, text, ifMatch: etag }]);
      if (saved?.saved !== true) throw new Error(saved?.problem?.message ?? `${filename} was changed meanwhile.`);
      recordChange(datasetId, { text: `${filename} saved as UTF-8.`, made: { changeId } });
      onClose();
    } catch (error) {
      setFailure(messageOf(error));
      setSaving(false);
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void save();
  };
  return (
    <Dialog title={`Save ${filename} as UTF-8`} onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-4">
        {readings.length > 1 && (
          <label className="flex flex-wrap items-center gap-2 text-sm">
            Written in
            <select
              value={reading?.encoding}
              onChange={(event) => setReading(readings.find(({ encoding }) => encoding === event.target.value))}
              className="min-h-9 touch rounded-lg border border-line bg-page px-2"
            >
              {readings.map(({ encoding }) => (
                <option key={encoding}>{encoding}</option>
              ))}
            </select>
          </label>
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
        <p role="alert" className="text-sm text-bad empty:hidden">
          {failure}
        </p>
        <DialogActions>
          <Button kind="quiet" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" kind="primary" disabled={reading === undefined || isSaving}>
            Save
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
