import type { ImportChoices } from '../../../src/dataset/import/survey.js';
import { SelectField } from '../../ui/fields.js';
import { countOf } from '../../ui/format.js';
import { lastPartOf } from '../../../src/dataset/import/entry-paths.js';
import { Choices } from '../../ui/panel.js';
import type { PreparedUpload } from './prepare-upload.js';

interface ImportChoicesProps {
  readonly prepared: PreparedUpload;
  readonly choices: ImportChoices;
  readonly onChange: (choices: ImportChoices) => void;
}

/** Shows where captions come from, where more than `.txt` files have them, and lets the user choose. */
export function CaptionChoices({
  prepared: { tables, captionSources, severalSources },
  choices,
  onChange,
}: ImportChoicesProps) {
  const [first] = captionSources;
  return (
    <>
      {tables.map(({ path, columns, fileColumn, captionColumn, used }) => (
        <section key={path} className="flex flex-col gap-2 rounded-lg border border-line px-3 py-2 text-sm">
          <h3 className="font-medium wrap-anywhere">
            {countOf(used, 'caption')} from {path}
          </h3>
          <div className="flex flex-wrap gap-x-4 gap-y-2">
            <SelectField
              label="Files"
              options={columns}
              value={fileColumn}
              onChange={(column) => onChange({ ...choices, fileColumn: column })}
            />
            <SelectField
              label="Captions"
              options={columns.filter((column) => column !== fileColumn)}
              value={captionColumn}
              onChange={(column) => onChange({ ...choices, captionColumn: column })}
            />
          </div>
        </section>
      ))}
      {severalSources > 0 && first !== undefined && (
        <section className="flex flex-col gap-2 rounded-lg border border-line px-3 py-2 text-sm">
          <h3 className="font-medium">{countOf(severalSources, 'file')} with several captions. Take first those of</h3>
          <div className="flex flex-wrap">
            <Choices
              label="Which captions to take first"
              isLabelHidden
              options={captionSources.map(({ name }) => ({ value: name, label: lastPartOf(name) }))}
              value={first.name}
              onChange={(captions) => onChange({ ...choices, captions })}
            />
          </div>
        </section>
      )}
    </>
  );
}
