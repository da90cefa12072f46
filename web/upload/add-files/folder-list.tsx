import { Folder } from 'lucide-react';
import { TextField } from '../../ui/fields.js';
import { countOf } from '../../ui/format.js';
import { LongList } from '../../ui/long-list.js';
import { Choices } from '../../ui/panel.js';
import { choiceOf, type DroppedFolder, type FolderChoice, type ChosenFolders } from './dropped-folders.js';

const OPTIONS = { add: 'Add', own: 'Own dataset', skip: 'Skip' } as const;

interface FolderListProps {
  readonly folders: readonly DroppedFolder[];
  readonly choices: ChosenFolders;
  /** The name of the dataset that a folder becomes, and why it can't be its name; `''` if it can. */
  readonly ownNameOf: (path: string) => { readonly name: string; readonly error: string };
  readonly onChoose: (path: string, choice: FolderChoice) => void;
  readonly onName: (path: string, name: string) => void;
}

/** The dropped folders as a tree, with what is in each and the choice what to do with it. */
export function FolderList({ folders, choices, ownNameOf, onChoose, onName }: FolderListProps) {
  return (
    <section className="flex flex-col gap-1">
      <h3 className="text-sm font-medium">{countOf(folders.length, 'folder')}</h3>
      <LongList isFramed label="Folders" items={folders} height="max-h-[50dvh]">
        {(folder) => {
          const choice = choiceOf(folder.path, choices);
          return (
            <div
              className="flex flex-wrap items-center gap-x-3 gap-y-1 py-1.5 pr-2 text-sm"
              style={{ paddingLeft: `${0.75 + Math.min(folder.depth, 6) * 1.25}rem` }}
            >
              <FolderFacts folder={folder} />
              <Choices
                label={`What to do with ${folder.path || 'the files beside the folders'}`}
                isLabelHidden
                options={folder.path === '' ? { add: OPTIONS.add, skip: OPTIONS.skip } : OPTIONS}
                value={choice}
                onChange={(next) => onChoose(folder.path, next)}
              />
              {choice === 'own' && (
                <TextField
                  label={
                    <>
                      Name<span className="sr-only"> of the dataset from {folder.path}</span>
                    </>
                  }
                  isBeside
                  spellCheck={false}
                  value={ownNameOf(folder.path).name}
                  error={ownNameOf(folder.path).error}
                  onChange={(name) => onName(folder.path, name)}
                />
              )}
            </div>
          );
        }}
      </LongList>
    </section>
  );
}

function FolderFacts({ folder: { path, name, counts, kohya } }: { folder: DroppedFolder }) {
  const parts = [
    counts.image > 0 && countOf(counts.image, 'image'),
    counts.video > 0 && countOf(counts.video, 'clip'),
    counts.caption > 0 && countOf(counts.caption, 'caption'),
  ];
  return (
    <div className="flex min-w-0 grow basis-48 items-start gap-2">
      <Folder size={16} className="mt-0.5 shrink-0 text-muted" aria-hidden />
      <div className="min-w-0">
        <p className="font-medium wrap-anywhere">{path === '' ? 'Files beside the folders' : name}</p>
        <p className="text-muted">{parts.filter(Boolean).join(', ')}</p>
        {kohya !== undefined && (
          <p className="text-muted">
            {countOf(kohya.repeats, 'repeat')}, kept as the group “{kohya.name}”
          </p>
        )}
      </div>
    </div>
  );
}
