import type { ReactNode } from 'react';
import { TextField } from '../../ui/fields.js';
import { countOf } from '../../ui/format.js';
import { Choices } from '../../ui/panel.js';
import { cleaned } from '../tags/caption-tags.js';
import type { BulkChange } from './plan.js';

type Kind = BulkChange['kind'];

/** Adding a tag has a dialog of its own. */
const KINDS = [
  { value: 'prepend', label: 'Prepend' },
  { value: 'append', label: 'Append' },
  { value: 'replace', label: 'Replace' },
  { value: 'fill', label: 'Fill' },
] as const satisfies readonly { value: Kind; label: string }[];

export function emptyChange(kind: Kind): BulkChange {
  switch (kind) {
    case 'prepend':
    case 'append':
      return { kind, trigger: '' };
    case 'replace':
      return { kind, find: '', replacement: '', asTag: false, matchesCase: false, wholeWords: false };
    case 'add':
      return { kind, tag: '' };
    case 'fill':
      return { kind, text: '', fillsBlank: false };
  }
}

/** Whether the required fields are filled in. */
export function isComplete(change: BulkChange): boolean {
  switch (change.kind) {
    case 'prepend':
    case 'append':
      return change.trigger.trim() !== '';
    case 'replace':
      return change.asTag ? cleaned(change.find) !== '' : change.find !== '';
    case 'add':
      return cleaned(change.tag) !== '';
    case 'fill':
      return change.text.trim() !== '';
  }
}

/** `Prepend “sks” to 12 captions`. */
export function changeTitle(change: BulkChange, count: number): string {
  const captions = countOf(count, 'caption');
  switch (change.kind) {
    case 'prepend':
      return `Prepend “${change.trigger.trim()}” to ${captions}`;
    case 'append':
      return `Append “${change.trigger.trim()}” to ${captions}`;
    case 'add':
      return `Add the tag “${cleaned(change.tag)}” to ${captions}`;
    case 'replace':
      if (change.asTag && cleaned(change.replacement) === '') return `Remove the tag “${change.find}” from ${captions}`;
      if (change.asTag) return `Rename the tag “${change.find}” to “${cleaned(change.replacement)}” in ${captions}`;
      return `Replace “${change.find}” with “${change.replacement}” in ${captions}`;
    case 'fill':
      return `Fill ${captions} with “${change.text.trim()}”`;
  }
}

/** A form that describes a change to many captions. */
export function ChangeForm({ change, onChange }: { change: BulkChange; onChange: (change: BulkChange) => void }) {
  return (
    <div className="flex flex-col gap-3">
      <Choices
        label="Change"
        isLabelHidden
        options={KINDS}
        value={change.kind}
        onChange={(kind) => onChange(withKind(change, kind))}
      />
      <Fields change={change} onChange={onChange} />
    </div>
  );
}

/** Switches to another kind of change. Keeps the trigger word between prepending and appending. */
function withKind(change: BulkChange, kind: Kind): BulkChange {
  const isTrigger = (kind === 'prepend' || kind === 'append') && 'trigger' in change;
  return isTrigger ? { ...change, kind } : emptyChange(kind);
}

function Fields({ change, onChange }: { change: BulkChange; onChange: (change: BulkChange) => void }) {
  switch (change.kind) {
    case 'prepend':
    case 'append':
      return (
        <TextField
          label="Trigger word"
          value={change.trigger}
          onChange={(trigger) => onChange({ ...change, trigger })}
          help={`Added ${change.kind === 'prepend' ? 'before' : 'after'} each caption, with a comma. Captions that contain it already do not change.`}
        />
      );
    case 'replace':
      return (
        <>
          <div className="grid gap-3 sm:grid-cols-2">
            <TextField label="Find" value={change.find} onChange={(find) => onChange({ ...change, find })} />
            <TextField
              label="Replace with"
              value={change.replacement}
              onChange={(replacement) => onChange({ ...change, replacement })}
            />
          </div>
          <div className="flex flex-wrap gap-x-6">
            <Check isOn={change.asTag} onChange={(asTag) => onChange({ ...change, asTag })}>
              As a tag
            </Check>
            <Check isOn={change.matchesCase} onChange={(matchesCase) => onChange({ ...change, matchesCase })}>
              Match case
            </Check>
            {!change.asTag && (
              <Check isOn={change.wholeWords} onChange={(wholeWords) => onChange({ ...change, wholeWords })}>
                Whole words
              </Check>
            )}
          </div>
          {change.asTag && (
            <p className="text-sm text-muted">
              Finds tags that are exactly this. Replaced by nothing, a tag is removed with its comma.
            </p>
          )}
        </>
      );
    case 'add':
      return null;
    case 'fill':
      return (
        <>
          <TextField
            label="Text for missing captions"
            value={change.text}
            onChange={(text) => onChange({ ...change, text })}
          />
          <Check isOn={change.fillsBlank} onChange={(fillsBlank) => onChange({ ...change, fillsBlank })}>
            Also fill blank captions
          </Check>
        </>
      );
  }
}

function Check({
  isOn,
  onChange,
  children,
}: {
  isOn: boolean;
  onChange: (isOn: boolean) => void;
  children: ReactNode;
}) {
  return (
    <label className="flex min-h-9 touch cursor-pointer items-center gap-2 text-sm">
      <input
        type="checkbox"
        checked={isOn}
        onChange={(event) => onChange(event.target.checked)}
        className="size-4 accent-accent"
      />
      {children}
    </label>
  );
}
