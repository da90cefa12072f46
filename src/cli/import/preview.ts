import type { KohyaGroup } from '../../dataset/import/entry-paths.js';
import type { FoundFile, ImportSurvey } from '../../dataset/import/survey.js';
import { firstLines } from '../folder/report.js';
import type { PushPlan } from '../push/plan.js';
import { counted, printable } from '../terminal/text.js';
import { renamedIn, type SourceEntry } from './read-source.js';

/** What an import has read from a source. */
export interface ImportPreview {
  readonly survey: ImportSurvey<SourceEntry>;
  /** Under their names in the dataset. */
  readonly files: readonly FoundFile<SourceEntry>[];
  readonly groups: readonly KohyaGroup[];
}

/** The decisions that a person may want to change, before anything is written. */
export function previewLines({ survey, files, groups }: ImportPreview): string[] {
  const { tables, captionSources, severalSources } = survey;
  const [first, ...others] = captionSources;
  const columns = tables.map(({ path, columns, fileColumn, captionColumn, used, severalCaptions }) => {
    const unused = columns.filter((column) => column !== fileColumn && column !== captionColumn);
    const rest = unused.length === 0 ? '' : `; not used: ${unused.map(printable).join(', ')}`;
    const first =
      severalCaptions === 0 ? '' : ` ${counted(severalCaptions, 'row')} with several captions: the first is taken.`;
    const from = `files from "${printable(fileColumn)}", captions from "${printable(captionColumn)}"`;
    return `${printable(path)}: ${counted(used, 'caption')}; ${from}${rest}.${first}`;
  });
  const several = counted(severalSources, 'file has', 'files have');
  const choice = others.map(({ name }) => `--captions ${printable(name)}`).join(' or ');
  const sources =
    severalSources === 0 || first === undefined
      ? []
      : [
          `${several} several captions: those of ${printable(first.name)} are taken first. To change that, add ${choice}.`,
        ];
  const renamed = renamedIn(files).map(({ from, to }) => `${printable(from)} becomes ${printable(to)}`);
  const repeats = groups.map(({ name, files: members, ...group }) => {
    const kind = group.is_reg ? ', for regularization' : '';
    return `Group "${printable(name)}": ${counted(members.length, 'file')}, ${counted(group.repeats, 'repeat')}${kind}.`;
  });
  return [
    ...columns,
    ...sources,
    ...firstLines(renamed, 'file that gets another name', 'files that get another name'),
    ...repeats,
  ];
}

/** The same for `--json`. */
export function previewDocument({ survey, files, groups }: ImportPreview, { report }: PushPlan) {
  return {
    tables: survey.tables.map((table) => ({
      path: table.path,
      columns: table.columns,
      file_column: table.fileColumn,
      caption_column: table.captionColumn,
      captions: table.used,
    })),
    caption_sources: survey.captionSources,
    renamed: renamedIn(files),
    groups,
    skipped: report.skipped,
  };
}
