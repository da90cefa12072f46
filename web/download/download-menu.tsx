import { Download } from 'lucide-react';
import type { DatasetFile, DatasetWithFiles } from '../../src/client/client.js';
import { useLinks } from '../live/dataset.js';
import { useClient } from '../session/client.js';
import { useRequesting } from '../session/dialog-form.js';
import { Button } from '../ui/button.js';
import { countOf } from '../ui/format.js';
import { Alert } from '../ui/loaded.js';
import { Menu, MENU_LINK } from '../ui/menu.js';

/** The downloads of a whole dataset. */
export function DownloadMenu({ dataset: { id, files } }: { dataset: DatasetWithFiles }) {
  const links = useLinks(id);
  if (links === undefined || files.length === 0) return null;
  const downloads = {
    'All files': links.zip(),
    'In kohya folders, with repeats (captions: .txt)': links.zip({ as: 'kohya' }),
    'With metadata.jsonl': links.zip({ as: 'metadata' }),
    'Only captions, zip': links.zip({ as: 'captions' }),
    'Only captions, csv': links.captions(),
  };
  return (
    <Menu label="Download">
      {Object.entries(downloads).map(([label, href]) => (
        <a key={label} href={href} download className={MENU_LINK}>
          {label}
        </a>
      ))}
    </Menu>
  );
}

/** Saves selected files as a zip archive. A link could not name them all. */
export function DownloadSelection({ datasetId, files }: { datasetId: string; files: readonly DatasetFile[] }) {
  const client = useClient();
  const { failure, isBusy, run } = useRequesting();
  const save = async () => {
    const names = files.map(({ filename }) => filename);
    const archive = await client.exports.selection(datasetId, names);
    const url = URL.createObjectURL(await archive.blob());
    Object.assign(document.createElement('a'), { href: url, download: 'selection.zip' }).click();
    setTimeout(() => URL.revokeObjectURL(url));
  };
  return (
    <>
      <Button
        disabled={isBusy}
        title={`Download ${countOf(files.length, 'file')} as a zip archive`}
        onClick={() => void run(save)}
      >
        <Download size={16} aria-hidden /> {isBusy ? 'Downloading …' : 'Download'}
      </Button>
      <Alert className="w-full">{failure && `The selection could not be downloaded: ${failure}`}</Alert>
    </>
  );
}
