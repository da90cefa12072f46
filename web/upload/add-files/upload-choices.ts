import { useMemo, useState } from 'react';
import type { Dataset } from '../../../src/client/client.js';
import type { Role } from '../../../src/dataset/dataset.js';
import { useDatasets } from '../../live/datasets.js';
import { datasetNameErrorOf } from '../../new-dataset/name-field.js';
import { type ChosenFolders, datasetNameOf, type FolderChoice, MAIN, withChoice } from './dropped-folders.js';
import { type ClashChoice, type ExistingChoice, planUpload } from './plan-upload.js';
import type { PreparedUpload } from './prepare-upload.js';
import { suggestName } from './suggest-name.js';

/** What the user has chosen for an upload, and the plan that follows from it. */
export function useUploadChoices({ dataset, candidates, known, commonFolder }: PreparedUpload) {
  const { data: datasets } = useDatasets();
  const [choices, setChoices] = useState<ChosenFolders>(new Map());
  const [clash, setClash] = useState<ClashChoice>('both');
  const [existing, setExisting] = useState<ExistingChoice>('replace');
  const [role, setRole] = useState<Role>('training');
  const [typed, setTyped] = useState<ReadonlyMap<string, string>>(new Map());
  const plan = useMemo(
    () => planUpload(candidates, known, { folders: choices, clash, existing }),
    [candidates, known, choices, clash, existing],
  );
  // Without files of its own, no dataset is made beside those of the folders.
  const makesMain = dataset === undefined && (plan.get(MAIN)!.files.length > 0 || plan.size === 1);
  const names = useMemo(
    () =>
      namesOf(
        [...plan.keys()].filter((key) => key !== MAIN || makesMain),
        { commonFolder, typed, datasets },
      ),
    [makesMain, plan, commonFolder, typed, datasets],
  );
  return {
    ...{ choices, clash, existing, role, plan, names, setClash, setExisting, setRole },
    choose: (path: string, choice: FolderChoice) => setChoices(withChoice(choices, path, choice)),
    nameOf: (key: string) => names.get(key) ?? { name: '', error: '' },
    setName: (key: string, name: string) => setTyped(new Map([...typed, [key, name]])),
    isValid: [...names.values()].every(({ error }) => error === ''),
  };
}

interface NameOptions {
  readonly commonFolder: string;
  readonly typed: ReadonlyMap<string, string>;
  readonly datasets: readonly Dataset[] | undefined;
}

/** The names of new datasets, each with why it is not possible; `''` if it is. The main one may be empty: the service makes a name. */
function namesOf(keys: readonly string[], { commonFolder, typed, datasets }: NameOptions) {
  const taken = new Set(datasets?.map(({ name }) => name));
  const names = new Map<string, { name: string; error: string }>();
  for (const key of keys) {
    const name =
      typed.get(key) ?? suggestName(datasetNameOf(key === MAIN ? commonFolder : key), (each) => !taken.has(each));
    names.set(key, { name, error: key === MAIN && name.trim() === '' ? '' : datasetNameErrorOf(name, taken) });
    taken.add(name.trim());
  }
  return names;
}
