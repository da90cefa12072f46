import { FolderDown } from 'lucide-react';
import { useEffect, useEffectEvent, useState } from 'react';
import { useRoute } from 'wouter';
import { isDialogOpen } from '../../keys.js';
import { ONLY_READS, useCanWrite } from '../../session/account.js';
import { useIsShared } from '../../session/client.js';
import { addFiles } from './add-files.js';
import { listDroppedFiles } from './dropped-files.js';

/** Accepts files that are dropped anywhere on the page, and shows a hint while they are dragged over it. */
export function DropTarget() {
  const [, parameters] = useRoute('/datasets/:id/:view?');
  const [isDraggedOver, setDraggedOver] = useState(false);

  const canWrite = useCanWrite();
  const isShared = useIsShared();
  const drop = useEffectEvent((transfer: DataTransfer) => {
    if (canWrite) addFiles(listDroppedFiles(transfer), parameters?.id);
  });
  useEffect(() => {
    const listening = new AbortController();
    const listen = (type: 'dragover' | 'dragleave' | 'drop', act: (event: DragEvent) => void) => {
      const actForFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') && act(event);
      addEventListener(type, actForFiles, { signal: listening.signal });
    };
    const show = (event?: DragEvent) => {
      const over = isDialogOpen() ? undefined : event?.target;
      const place = over instanceof Element ? over.closest('[data-drop-place]') : null;
      document.querySelector('[data-dragged-over]')?.removeAttribute('data-dragged-over');
      place?.setAttribute('data-dragged-over', '');
      setDraggedOver(over !== undefined && place === null);
    };
    listen('dragover', (event) => {
      // Without this, the browser would leave the page and open the file.
      event.preventDefault();
      event.dataTransfer!.dropEffect = isDialogOpen() ? 'none' : 'copy';
      show(event);
    });
    listen('dragleave', ({ relatedTarget }) => {
      if (relatedTarget === null) show();
    });
    listen('drop', (event) => {
      const isTaken = event.defaultPrevented;
      event.preventDefault();
      show();
      if (!isTaken && !isDialogOpen()) drop(event.dataTransfer!);
    });
    return () => listening.abort();
  }, []);

  if (!isDraggedOver) return null;
  // Where files can also be dropped onto a part of the page, the hint must not cover it.
  const cover = document.querySelector('[data-drop-place]') === null ? 'inset-y-0 bg-page/80' : 'bottom-0';
  return (
    <div className={`pointer-events-none fixed inset-x-0 z-40 flex items-center justify-center p-4 ${cover}`}>
      <div className="flex flex-col items-center gap-3 rounded-2xl border-2 border-dashed border-accent bg-panel px-10 py-8 text-center shadow-lg">
        <FolderDown size={40} className="text-accent" aria-hidden />
        <p className="text-lg font-semibold">
          {!canWrite
            ? `Files can't be added. ${isShared ? 'The dataset is shared to look at.' : ONLY_READS}`
            : parameters === null
              ? 'Drop to create a dataset'
              : 'Drop to add to this dataset'}
        </p>
        {canWrite && <p className="text-sm text-muted">Images, clips, captions, or folders and zips with them</p>}
      </div>
    </div>
  );
}
