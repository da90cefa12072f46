import { Ellipsis, FileArchive, Keyboard, Layers, Pencil, Share2, Sparkles, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { useLocation } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { LateCaptionDialog } from '../captioning/caption-with-model.js';
import { DeleteDatasetDialog } from '../datasets/delete-dataset-dialog.js';
import { SettingsDialog } from '../datasets/settings-dialog.js';
import { KeySheet } from '../key-sheet.js';
import { useKeys, withKey } from '../keys.js';
import { LinksDialog } from '../links/links-dialog.js';
import { useLinks } from '../live/dataset.js';
import { AccountLinks } from '../session/account-links.js';
import { WriteButton } from '../session/write-button.js';
import { loadedLater } from '../ui/loaded-later.js';
import { Button } from '../ui/button.js';
import { CopyButton } from '../ui/copy.js';
import { Menu, MENU_LINK } from '../ui/menu.js';
import { AddButton } from '../upload/add-files/add-buttons.js';
import { DownloadMenu } from '../download/download-menu.js';

const ShareDialog = loadedLater(async () => (await import('../share/share-dialog.js')).ShareDialog);

type DatasetDialog = 'caption' | 'links' | 'settings' | 'share' | 'delete' | 'keys';

/** What can be done with a whole dataset: add files, download it, and the rest behind `More`. */
export function DatasetMenus({ dataset }: { dataset: DatasetWithFiles }) {
  const [dialog, setDialog] = useState<DatasetDialog>();
  const close = () => setDialog(undefined);
  const [, navigate] = useLocation();
  useKeys({ sheet: () => setDialog('keys') });
  return (
    <div className="flex shrink-0 items-center gap-1">
      <Menu label="Add">
        <AddButton datasetId={dataset.id} label="Add files" />
        <AddButton datasetId={dataset.id} label="Add a folder" isFolder />
      </Menu>
      <div className="max-md:hidden">
        <DownloadMenu dataset={dataset} />
      </div>
      <Menu label="More" icon={<Ellipsis size={18} aria-hidden />}>
        <MoreItems dataset={dataset} onOpen={setDialog} />
      </Menu>
      {dialog === 'caption' && <LateCaptionDialog dataset={dataset} onClose={close} />}
      {dialog === 'links' && <LinksDialog dataset={dataset} onClose={close} />}
      {dialog === 'settings' && <SettingsDialog dataset={dataset} onClose={close} />}
      {dialog === 'share' && <ShareDialog dataset={dataset} onClose={close} />}
      {dialog === 'keys' && <KeySheet onClose={close} />}
      {dialog === 'delete' && (
        <DeleteDatasetDialog dataset={dataset} onClose={close} onDeleted={() => navigate('/', { replace: true })} />
      )}
    </div>
  );
}

interface MoreItemsProps {
  readonly dataset: DatasetWithFiles;
  readonly onOpen: (dialog: DatasetDialog) => void;
}

function MoreItems({ dataset: { id, role, files }, onOpen }: MoreItemsProps) {
  const links = useLinks(id);
  return (
    <>
      {links !== undefined && files.length > 0 && (
        <a href={links.zip()} download className={`${MENU_LINK} md:hidden`}>
          <FileArchive size={16} aria-hidden /> Download all files
        </a>
      )}
      {role === 'training' && (
        <Button icon={Sparkles} onClick={() => onOpen('caption')}>
          Caption with a model …
        </Button>
      )}
      {role === 'training' && (
        <Button icon={Layers} onClick={() => onOpen('links')}>
          Controls and mask
        </Button>
      )}
      <WriteButton icon={Pencil} onClick={() => onOpen('settings')}>
        Name and role
      </WriteButton>
      <Button icon={Share2} onClick={() => onOpen('share')}>
        Share the dataset
      </Button>
      <p data-stays className="flex items-center pl-3 text-sm text-muted [&_button]:w-auto!" title={id}>
        Id <span className="ml-2 mr-auto font-mono text-xs">{id.slice(0, 8)}</span>
        <CopyButton text={id} what="the id" />
      </p>
      <WriteButton icon={Trash2} onClick={() => onOpen('delete')} className="text-bad">
        Delete the dataset
      </WriteButton>
      <hr className="my-1 border-line" />
      <Button icon={Keyboard} title={withKey('Keys', 'sheet')} onClick={() => onOpen('keys')}>
        Keys
      </Button>
      <AccountLinks link={MENU_LINK} />
    </>
  );
}
