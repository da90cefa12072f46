import { Button } from '../../ui/button.js';
import { Dialog, DialogActions } from '../../ui/dialog.js';
import { Difference } from '../difference/marked-difference.js';
import { type Draft, drafts } from './drafts.js';
import { type CaptionName, displayText } from './drafts.js';

interface ConflictDialogProps {
  readonly name: CaptionName;
  readonly draft: Draft & { state: 'conflict' };
  readonly onClose: () => void;
}

/** Shows both versions of a caption. The user saves their own, which they can edit here, or takes the other. */
export function ConflictDialog({ name, draft, onClose }: ConflictDialogProps) {
  const { theirs, text } = draft;
  return (
    <Dialog title={`Two versions of ${name.filename}`} width="max-w-3xl" onClose={onClose}>
      {theirs === undefined ? (
        <p>It was deleted elsewhere while you edited it. Your text is not saved. To save it adds the caption again.</p>
      ) : (
        <section aria-label="The other version" className="flex flex-col gap-1">
          <h3 className="text-sm font-medium">The other version, which is saved</h3>
          <p className="text-xs text-muted">Underlined: not in your text. Struck out: only in your text.</p>
          <div className="max-h-[30dvh] overflow-y-auto rounded-md border border-line p-2 text-sm">
            {theirs.text === null ? (
              'A text too long to show.'
            ) : (
              <Difference before={text} after={displayText(theirs.text)} />
            )}
          </div>
        </section>
      )}
      <label className="flex flex-col gap-1 text-sm font-medium">
        Your text, which you can edit
        <textarea
          rows={6}
          value={text}
          onChange={(event) => drafts.edit(name, event.target.value, undefined)}
          className="rounded-md border border-line bg-page px-2 py-1 font-normal"
        />
      </label>
      <DialogActions>
        <Button kind="quiet" onClick={onClose}>
          Decide later
        </Button>
        <Button onClick={() => drafts.takeTheirs(name)}>
          {theirs === undefined ? 'Discard my text' : 'Take the other version'}
        </Button>
        <Button kind="primary" onClick={() => drafts.keepMine(name)}>
          Save my text
        </Button>
      </DialogActions>
    </Dialog>
  );
}
