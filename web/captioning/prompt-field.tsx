import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { CaptionPreset } from '../../src/client/client.js';
import { BUILTIN_PROMPTS, DEFAULT_PROMPT } from '../../src/dataset/captioning/prompts.js';
import { useClient } from '../session/client.js';
import { useRequesting } from '../session/dialog-form.js';
import { WriteButton } from '../session/write-button.js';
import { FIELD, Labelled, TextField } from '../ui/fields.js';
import type { CaptionOptions } from './kept-options.js';

/** In place of the name of a preset. */
export const OWN_PROMPT = '(own)';

const QUERY = ['caption-presets'];
const BUILTIN = Object.entries(BUILTIN_PROMPTS).map(([name, prompt]) => ({ name, prompt, builtin: true }));

const PRESET_WORDS: Readonly<Record<string, string>> = {
  tags: 'Tags',
  sentence: 'One sentence',
  paragraph: 'A detailed paragraph',
  clip: 'A clip: action first',
};

/** The prompts of the account, and the one of this name. */
export function usePrompts(name: string): { presets: readonly CaptionPreset[]; preset: CaptionPreset } {
  const client = useClient();
  const queryFn = ({ signal }: { signal: AbortSignal }) => client.captioning.presets({ signal });
  const { data: presets = BUILTIN } = useQuery({ queryKey: QUERY, queryFn });
  const named = (wanted: string) => presets.find((preset) => preset.name === wanted);
  return { presets, preset: named(name) ?? named(DEFAULT_PROMPT) ?? BUILTIN[0]! };
}

interface PromptFieldProps {
  readonly prompts: readonly CaptionPreset[];
  readonly preset: CaptionPreset;
  readonly kept: CaptionOptions;
  readonly onChange: (changes: Partial<CaptionOptions>) => void;
}

/** What the model is told: one of the prompts of the account, or another one, which can be saved among them. */
export function PromptField({ prompts, preset, kept, onChange }: PromptFieldProps) {
  const isOwn = kept.preset === OWN_PROMPT;
  return (
    <>
      <Labelled label="Prompt">
        {(id) => (
          <>
            <select
              id={id}
              value={isOwn ? OWN_PROMPT : preset.name}
              onChange={({ target }) =>
                onChange({
                  preset: target.value,
                  // Its own prompt begins as the one that was shown.
                  ...(target.value === OWN_PROMPT && kept.prompt === '' && { prompt: preset.prompt }),
                })
              }
              className={FIELD}
            >
              {prompts.map(({ name, builtin }) => (
                <option key={name} value={name}>
                  {builtin ? (PRESET_WORDS[name] ?? name) : name}
                </option>
              ))}
              <option value={OWN_PROMPT}>My own prompt</option>
            </select>
            <textarea
              aria-label={isOwn ? 'My own prompt' : 'The prompt of this preset'}
              rows={4}
              readOnly={!isOwn}
              value={isOwn ? kept.prompt : preset.prompt}
              onChange={({ target }) => onChange({ prompt: target.value })}
              className={`${FIELD} text-sm read-only:text-muted`}
            />
          </>
        )}
      </Labelled>
      {(isOwn || !preset.builtin) && <SavedPrompt isOwn={isOwn} preset={preset} kept={kept} onChange={onChange} />}
    </>
  );
}

/** Saves the own prompt for the account, or deletes a saved one. */
function SavedPrompt({ isOwn, preset, kept, onChange }: Omit<PromptFieldProps, 'prompts'> & { isOwn: boolean }) {
  const client = useClient();
  const queries = useQueryClient();
  const [name, setName] = useState('');
  const { failure, isBusy, run } = useRequesting();
  const change = (work: () => Promise<unknown>, chosen: string) => () =>
    void run(async () => {
      await work();
      await queries.invalidateQueries({ queryKey: QUERY });
      onChange({ preset: chosen });
    });
  const save = change(() => client.captioning.savePreset(name.trim(), kept.prompt), name.trim());
  const remove = change(() => client.captioning.removePreset(preset.name), DEFAULT_PROMPT);
  return (
    <div className="flex flex-col gap-2">
      {isOwn ? (
        <>
          <p className="text-xs text-muted">
            It can use {'{caption}, {tags}, {name} and {trigger}'}: what is there already, and the word below.
          </p>
          <div className="flex items-end gap-2">
            <TextField label="Name, to use it again" value={name} onChange={setName} />
            <WriteButton disabled={isBusy || name.trim() === '' || kept.prompt.trim() === ''} onClick={save}>
              Save the prompt
            </WriteButton>
          </div>
        </>
      ) : (
        <WriteButton kind="quiet" className="self-start" onClick={remove}>
          Delete this prompt
        </WriteButton>
      )}
      <p role="alert" className="text-sm text-bad empty:hidden">
        {failure}
      </p>
    </div>
  );
}
