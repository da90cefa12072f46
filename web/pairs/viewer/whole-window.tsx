import { X } from 'lucide-react';
import { type ReactNode, useId, useLayoutEffect } from 'react';
import { DeletionFailures } from '../selection/selection-verbs.js';
import { UndoMessage } from '../../undo/undo-message.js';
import { Button } from '../../ui/button.js';
import { useModal } from '../../ui/dialog.js';

interface WholeWindowProps {
  readonly title: string;
  /** The keys that work in it. */
  readonly keyPlace: 'viewer' | 'compare';
  /** Beside the title. */
  readonly beside: ReactNode;
  readonly tools: ReactNode;
  readonly datasetId: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
}

/** A dialog that covers the window, with a bar above its content. Escape and Back call `onClose`. */
export function WholeWindow({ title, keyPlace, beside, tools, datasetId, onClose, children }: WholeWindowProps) {
  const dialog = useModal();
  const id = useId();
  // Not its first button, which a key for the viewer would press.
  useLayoutEffect(() => dialog.current?.focus(), [dialog]);
  return (
    <dialog
      ref={dialog}
      tabIndex={-1}
      aria-labelledby={id}
      data-key-place={keyPlace}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      className="fixed inset-0 m-0 size-full max-h-none max-w-none overflow-hidden bg-raised p-0 text-text outline-none"
    >
      <div className="flex size-full flex-col">
        <header className="relative z-20 flex min-h-12 shrink-0 flex-wrap items-center gap-x-2 gap-y-1 border-b border-line bg-panel px-2 py-1 pointer-coarse:max-sm:[&_button]:px-1.5">
          <h2 id={id} className="min-w-0 truncate px-2 font-semibold max-sm:grow max-sm:basis-0" title={title}>
            {title}
          </h2>
          {beside}
          <div className="ml-auto flex items-center gap-1 max-sm:order-last max-sm:w-full max-sm:justify-between max-sm:overflow-x-auto">
            {tools}
          </div>
          <Button icon={X} kind="quiet" aria-label="Close" title="Close (Esc)" onClick={onClose} />
          <DeletionFailures datasetId={datasetId} />
        </header>
        {children}
      </div>
      <div className="pointer-events-none absolute right-4 bottom-4 z-20 w-90 max-w-[calc(100%-2rem)] *:pointer-events-auto">
        <UndoMessage />
      </div>
    </dialog>
  );
}
