import { FileArchive, Layers, Pencil, Share2, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { useLocation } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { useLinks } from '../live/dataset.js';
import { LinksDialog } from '../links/links-dialog.js';
import { WriteButton } from '../session/write-button.js';
import { ShareDialog } from '../share/share-dialog.js';
import { Button } from '../ui/button.js';
import { AddFilesButton, AddFolderButton } from '../upload/add-files/add-buttons.js';
import { DeleteDatasetDialog } from './delete-dataset-dialog.js';
import { SettingsDialog } from './settings-dialog.js';

/** Actions on a whole dataset: add files, download, link, rename, share and delete it. On a narrow screen, one row of icons. */
export function DatasetActions({ dataset }: { dataset: DatasetWithFiles }) {
  const links = useLinks(dataset.id);
  const [, navigate] = useLocation();
  const [dialog, setDialog] = useState<'links' | 'settings' | 'share' | 'delete'>();
  const close = () => setDialog(undefined);
  return (
    <div className="flex flex-wrap items-center gap-1 max-sm:gap-px sm:ml-auto max-sm:[&>a]:px-2 max-sm:[&>button]:px-2">
      <AddFilesButton datasetId={dataset.id} />
      <AddFolderButton datasetId={dataset.id} isIconIfNarrow />
      {links !== undefined && dataset.files.length > 0 && (
        <a
          href={links.zip()}
          download
          title="Download all files as a zip archive"
          className="inline-flex min-h-9 min-w-9 touch items-center justify-center gap-2 rounded-lg border border-line bg-panel px-3 py-1.5 text-sm font-medium hover:bg-raised max-sm:gap-0"
        >
          <FileArchive size={16} aria-hidden /> <span className="max-sm:sr-only">Download</span>
        </a>
      )}
      {dataset.role === 'training' && (
        <Button kind="quiet" aria-label="Controls and mask" onClick={() => setDialog('links')}>
          <Layers size={16} aria-hidden />
        </Button>
      )}
      <WriteButton kind="quiet" aria-label="Name and role" onClick={() => setDialog('settings')}>
        <Pencil size={16} aria-hidden />
      </WriteButton>
      <Button kind="quiet" aria-label="Share the dataset" onClick={() => setDialog('share')}>
        <Share2 size={16} aria-hidden />
      </Button>
      <WriteButton
        kind="quiet"
        aria-label="Delete the dataset"
        onClick={() => setDialog('delete')}
        className="hover:text-bad"
      >
        <Trash2 size={16} aria-hidden />
      </WriteButton>
      {dialog === 'links' && <LinksDialog dataset={dataset} onClose={close} />}
      {dialog === 'settings' && <SettingsDialog dataset={dataset} onClose={close} />}
      {dialog === 'share' && <ShareDialog dataset={dataset} onClose={close} />}
      {dialog === 'delete' && (
        <DeleteDatasetDialog dataset={dataset} onClose={close} onDeleted={() => navigate('/', { replace: true })} />
      )}
    </div>
  );
}
