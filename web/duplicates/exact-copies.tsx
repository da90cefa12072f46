import { useMemo, useState } from 'react';
import { Button } from '../ui/button.js';
import { Dialog, DialogActions } from '../ui/dialog.js';
import { countOf, sizeOf } from '../ui/format.js';
import { LongList } from '../ui/long-list.js';
import { exactCopiesIn, type Plan, type ReviewGroup } from './review-groups.js';

interface ExactCopiesProps {
  readonly groups: readonly ReviewGroup[];
  readonly onConfirm: (plans: readonly Plan[]) => void;
}

/** Keeps one of each group of equal files at once, after it has named what goes. */
export function ExactCopiesButton({ groups, onConfirm }: ExactCopiesProps) {
  const { plans, undecided } = useMemo(() => exactCopiesIn(groups), [groups]);
  const [isAsking, setAsking] = useState(false);
  if (plans.length === 0) return null;
  const files = plans.flatMap((plan) => plan.files);
  const bytes = files.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
  const words = `Keep one of each of ${countOf(plans.length, 'group')} of exact copies`;
  return (
    <>
      <Button onClick={() => setAsking(true)}>{words}</Button>
      {isAsking && (
        <Dialog title={`Delete ${countOf(files.length, 'file')}?`} onClose={() => setAsking(false)} width="max-w-2xl">
          <p>
            {words}, {sizeOf(bytes)} go. The history keeps them, so that you can undo this.
          </p>
          {undecided > 0 && (
            <p className="rounded-lg bg-warn-soft p-2 text-warn">
              {countOf(undecided, 'group')} with different captions {undecided === 1 ? 'is' : 'are'} left for you to
              decide.
            </p>
          )}
          <div className="rounded-lg border border-line text-sm">
            <LongList label="What goes" items={plans} height="max-h-72">
              {({ kept, files: going, move }) => (
                <p className="px-3 py-2 wrap-anywhere">
                  {going.map(({ filename }) => filename).join(', ')}
                  <span className="text-muted">
                    {' '}
                    · {kept[0]?.file.filename} stays{move !== undefined && ' and gets the caption'}
                  </span>
                </p>
              )}
            </LongList>
          </div>
          <DialogActions>
            <Button onClick={() => setAsking(false)}>Cancel</Button>
            <Button
              kind="danger"
              onClick={() => {
                setAsking(false);
                onConfirm(plans);
              }}
            >
              Delete {countOf(files.length, 'file')}
            </Button>
          </DialogActions>
        </Dialog>
      )}
    </>
  );
}
