import { useState } from 'react';
import { type KeyName, useKeys, verbsNow } from './keys.js';
import { loadedLater } from './ui/loaded-later.js';

const PaletteDialog = loadedLater(async () => (await import('./palette-dialog.js')).PaletteDialog);

/** Goes to a dataset, a page, a tag or a file by its name, and does what has a key here. */
export function Palette() {
  const [verbs, setVerbs] = useState<readonly KeyName[]>();
  useKeys({ palette: () => setVerbs(verbsNow().filter((name) => name !== 'palette')) });
  if (verbs === undefined) return null;
  return <PaletteDialog verbs={verbs} onClose={() => setVerbs(undefined)} />;
}
