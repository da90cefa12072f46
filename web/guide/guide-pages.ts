/** The pages of the guide, in the order in which they are listed, by the names of the documents in `docs/`. */
export const GUIDE_PAGES = [
  { name: 'start', title: 'First dataset' },
  { name: 'page', title: 'The page' },
  { name: 'importing', title: 'Import' },
  { name: 'datasets', title: 'Datasets' },
  { name: 'inspection', title: 'What is checked' },
  { name: 'pairs', title: 'Controls and masks' },
  { name: 'captions', title: 'Captions by a model' },
  { name: 'history', title: 'History' },
  { name: 'mounting', title: 'Train' },
  { name: 'cli', title: 'The command' },
  { name: 'api', title: 'The API' },
  { name: 'webhooks', title: 'Webhooks' },
  { name: 'installing', title: 'Install' },
  { name: 'configuration', title: 'Settings' },
  { name: 'operating', title: 'Operate' },
  { name: 'scaling', title: 'Scale' },
  { name: 'architecture', title: 'How it is built' },
  { name: 'glossary', title: 'Glossary' },
] as const;

export type GuidePageName = (typeof GUIDE_PAGES)[number]['name'];

const MODULES = import.meta.glob<string>('../../docs/*.md', { query: '?guide', import: 'html' });

/** Loads a page as HTML. @throws Error if the service does not answer */
export async function readGuidePage(name: string): Promise<string> {
  const read = MODULES[`../../docs/${name}.md`];
  if (read === undefined) throw new Error('The guide has no such page.');
  return read();
}
