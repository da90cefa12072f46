import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useId } from 'react';
import { Button } from '../../ui/button.js';
import { Dialog, DialogActions } from '../../ui/dialog.js';
import { messageOf } from '../../ui/format.js';

/**
 * Prepares an upload once for each mounted component, and again for other choices. Until then, `prepared` is that of the choices
 * before, or `undefined`.
 */
export function usePrepared<T>(prepare: (signal: AbortSignal) => Promise<T>, choices: unknown = null) {
  const { data, error, isPlaceholderData, refetch } = useQuery({
    queryKey: ['prepared-upload', useId(), choices],
    queryFn: ({ signal }) => prepare(signal),
    gcTime: 0,
    placeholderData: keepPreviousData,
    structuralSharing: false,
  });
  return { prepared: data, isOutdated: isPlaceholderData, error, retry: () => void refetch() };
}

interface PreparingProps {
  readonly error: Error | null;
  readonly onRetry: () => void;
  readonly onCancel: () => void;
}

/** Shows that files are being checked, or why the check failed. */
export function Preparing({ error, onRetry, onCancel }: PreparingProps) {
  if (error === null) {
    // Not a dialog: most checks end at once, and a dialog would flash.
    return (
      <div
        role="status"
        className="fixed right-4 bottom-4 z-30 flex w-90 max-w-[calc(100vw-2rem)] items-center justify-between gap-3 rounded-xl border border-line bg-panel px-4 py-3 text-sm shadow-lg"
      >
        Checking the files … <Button onClick={onCancel}>Cancel</Button>
      </div>
    );
  }
  return (
    <Dialog title="Nothing was uploaded" onClose={onCancel}>
      <p role="alert">{messageOf(error)}</p>
      <DialogActions>
        <Button onClick={onCancel}>Cancel</Button>
        <Button kind="primary" onClick={onRetry}>
          Try again
        </Button>
      </DialogActions>
    </Dialog>
  );
}
