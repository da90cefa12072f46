import { Sparkles } from 'lucide-react';
import { useState } from 'react';
import type { DatasetWithFiles } from '../../src/client/client.js';
import type { Pair } from '../live/pairs.js';
import { useIsShared } from '../session/client.js';
import { Button } from '../ui/button.js';
import { loadedLater } from '../ui/loaded-later.js';

/** Loaded when it is opened, or a moment after the page. */
export const LateCaptionDialog = loadedLater(async () => (await import('./caption-dialog.js')).CaptionDialog);

interface CaptionWithModelProps {
  readonly dataset: DatasetWithFiles;
  /** By default, all of the dataset. */
  readonly pairs?: readonly Pair[];
  readonly words: string;
}

/** A button that asks which model, and starts it. A token that only reads sees what it would do. */
export function CaptionWithModel({ words, ...asked }: CaptionWithModelProps) {
  const [isOpen, setOpen] = useState(false);
  if (useIsShared()) return null;
  return (
    <>
      <Button title="Caption with a model" onClick={() => setOpen(true)} className="shrink-0">
        <Sparkles size={16} aria-hidden /> {words}
      </Button>
      {isOpen && <LateCaptionDialog {...asked} onClose={() => setOpen(false)} />}
    </>
  );
}
