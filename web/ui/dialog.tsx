import { type ReactNode, useId, useLayoutEffect, useRef } from 'react';
import { Button, type ButtonProps } from './button.js';

interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
  /** A class that sets the maximum width. */
  readonly width?: string;
  /** A click outside does not close it: it shows what is not shown again. */
  readonly staysOnClickOutside?: boolean;
  /** The keys that work in it. */
  readonly keyPlace?: 'decisions';
  /** The only button at its end, which closes it. */
  readonly close?: Pick<ButtonProps, 'kind' | 'children'>;
}

/** A modal dialog, open as long as it is rendered. Escape and a click outside of it call `onClose`. */
export function Dialog(props: DialogProps) {
  const { title, onClose, children, width = 'max-w-lg', staysOnClickOutside = false, keyPlace, close } = props;
  const dialog = useModal();
  const pressed = useRef<EventTarget>(null);
  const id = useId();
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it by keyboard
    <dialog
      ref={dialog}
      aria-labelledby={id}
      data-key-place={keyPlace}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onPointerDown={(event) => {
        pressed.current = event.target;
      }}
      onClick={({ target }) => {
        // A text that is selected past the edge is a click on the dialog, too.
        if (target === dialog.current && target === pressed.current && !staysOnClickOutside) onClose();
      }}
      className={`m-auto w-[calc(100%-2rem)] scroll-py-24 rounded-xl border border-line bg-panel p-0 text-text backdrop:bg-black/50 ${width}`}
    >
      <div className="flex flex-col gap-4 p-4 sm:p-6">
        <h2 id={id} className="text-lg font-semibold wrap-anywhere">
          {title}
        </h2>
        {children}
        {close !== undefined && (
          <DialogActions>
            <Button {...close} onClick={onClose} />
          </DialogActions>
        )}
      </div>
    </dialog>
  );
}

/** Opens a `dialog` element as a modal dialog, for as long as it is rendered. */
export function useModal() {
  const dialog = useRef<HTMLDialogElement>(null);
  // A layout effect closes it before it leaves the page; the browser then restores the focus.
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    // The first button of a long dialog, which gets the focus, may be at its end.
    element?.scrollTo(0, 0);
    return () => element?.close();
  }, []);
  return dialog;
}

/** The buttons at the end of a dialog. They stay in view while a long dialog scrolls. */
export function DialogActions({ children }: { children: ReactNode }) {
  return (
    <div className="sticky bottom-0 z-10 -mx-4 -mb-4 flex flex-wrap justify-end gap-2 border-t border-line bg-panel px-4 py-3 sm:-mx-6 sm:-mb-6 sm:px-6">
      {children}
    </div>
  );
}
