import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import type { CaptionEndpoint, CaptionPreset, CaptionTest, DatasetWithFiles } from '../../src/client/client.js';
import { runCountsText } from '../../src/dataset/captioning/outcomes.js';
import { RelativeTime } from '../datasets/relative-time.js';
import { refetchRuns, useCaptionRuns } from '../live/caption-runs.js';
import type { Pair } from '../live/pairs.js';
import { useClient } from '../session/client.js';
import { FormDialog, useRequesting } from '../session/dialog-form.js';
import { WriteButton } from '../session/write-button.js';
import { Dialog } from '../ui/dialog.js';
import { countOf, messageOf } from '../ui/format.js';
import { Alert } from '../ui/loaded.js';
import { Choices } from '../ui/panel.js';
import { FIELD, Labelled, TextField } from '../ui/fields.js';
import { BUILTIN_PROMPTS, DEFAULT_PROMPT } from '../../src/dataset/captioning/prompts.js';

type Which = 'missing' | 'model' | 'all';

interface CaptionDialogProps {
  readonly dataset: Pick<DatasetWithFiles, 'id' | 'name' | 'role'>;
  /** By default, all of the dataset. */
  readonly pairs?: readonly Pair[];
  readonly onClose: () => void;
}

/** Starts a run in which a model writes captions: which model, for which pictures, and what it is told. */
export function CaptionDialog(props: CaptionDialogProps) {
  const client = useClient();
  const { data: endpoints, error } = useQuery({
    queryKey: ['caption-endpoints'],
    queryFn: ({ signal }) => client.captioning.endpoints({ signal }),
    refetchOnMount: 'always',
  });
  if (endpoints !== undefined && endpoints.length > 0) return <RunForm {...props} endpoints={endpoints} />;
  return (
    <Dialog title="Caption with a model" onClose={props.onClose} close={{ children: 'Close' }}>
      {error !== null ? (
        <Alert>{messageOf(error)}</Alert>
      ) : endpoints === undefined ? (
        <p role="status">Asking the model servers …</p>
      ) : (
        <p role="status">
          This service has no model. Its operator adds one with <code>--caption-endpoint NAME=URL</code>:{' '}
          <Link href="/guide/captions" className="text-link underline">
            how to add a model
          </Link>
          .
        </p>
      )}
    </Dialog>
  );
}

function RunForm({ dataset, pairs, onClose, endpoints }: CaptionDialogProps & { endpoints: CaptionEndpoint[] }) {
  const client = useClient();
  const queries = useQueryClient();
  const filenames = pairs?.flatMap(({ media }) => media.map(({ filename }) => filename));
  const scope = filenames && { filenames };
  const { data: plan, error: planError } = useQuery({
    queryKey: ['caption-plan', dataset.id, filenames],
    queryFn: ({ signal }) => client.captioning.plan(dataset.id, { files: 'all', ...scope }, { signal }),
    refetchOnMount: 'always',
    gcTime: 0,
    placeholderData: keepPreviousData,
  });
  const [kept, setKept] = useState<CaptionOptions>(() => ({
    ...DEFAULTS,
    ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<CaptionOptions>),
  }));
  const change = (changes: Partial<CaptionOptions>) => setKept((known) => ({ ...known, ...changes }));
  const [which, setWhich] = useState<Which>();
  const endpoint = endpoints.find(({ name }) => name === kept.endpoint) ?? endpoints[0]!;
  const isOwn = kept.preset === OWN_PROMPT;
  const { presets, preset } = usePrompts(kept.preset);
  const { without_caption: missing = 0, by_model: byModel = 0, by_person: byPerson = 0 } = plan?.counts ?? {};
  const chosen = which ?? (missing > 0 || plan === undefined ? 'missing' : 'all');
  const count = { missing, model: byModel, all: missing + byModel + byPerson }[chosen];
  const start = async () => {
    localStorage.setItem(KEY, JSON.stringify(kept));
    const leaveOut = kept.leaveOut.split(',').flatMap((part) => part.trim() || []);
    await client.captioning.start(dataset.id, {
      ...{ endpoint: endpoint.name, files: chosen, ...scope },
      ...(isOwn ? { prompt: kept.prompt } : { preset: preset.name }),
      ...(kept.trigger.trim() !== '' && { trigger: kept.trigger.trim() }),
      ...(leaveOut.length > 0 && { leave_out: leaveOut }),
      ...{ max_tokens: Number(kept.maxTokens), frames: Number(kept.frames) },
    });
    await refetchRuns(queries, dataset.id);
    onClose();
  };
  const field = (label: string, name: keyof CaptionOptions, type = 'text') => (
    <TextField {...{ label, type }} value={kept[name]} onChange={(value) => change({ [name]: value })} />
  );
  const whose = pairs === undefined ? dataset.name : countOf(pairs.length, 'selected pair');
  return (
    <FormDialog
      title={`Caption ${whose} with a model`}
      onClose={onClose}
      work={start}
      label={`Caption ${countOf(count, 'file')}`}
      busyLabel="Starting …"
      isDisabled={count === 0 || (isOwn && kept.prompt.trim() === '')}
    >
      <EndpointField {...{ endpoints, endpoint }} onChange={(name) => change({ endpoint: name })} />
      <div className="flex flex-col gap-2">
        <Choices
          label="Which"
          options={{ missing: 'Without a caption', model: 'Written by a model', all: 'All' }}
          value={chosen}
          onChange={setWhich}
        />
        <p role="status" className="text-sm">
          {plan?.summary ?? (planError && messageOf(planError))}
        </p>
      </div>
      <PromptField prompts={presets} preset={preset} kept={kept} onChange={change} />
      <div className="grid gap-4 sm:grid-cols-2">
        {field('Trigger word', 'trigger')}
        {field('Leave out, by commas', 'leaveOut')}
      </div>
      <details className="text-sm">
        <summary className="touch cursor-pointer">Length and frames</summary>
        <div className="mt-2 grid gap-4 sm:grid-cols-2">
          {field('Tokens of an answer, at most', 'maxTokens', 'number')}
          {field('Frames of a clip', 'frames', 'number')}
        </div>
      </details>
      <Runs dataset={dataset} />
    </FormDialog>
  );
}

/** The runs of the dataset until now, and what became of their files. */
function Runs({ dataset }: Pick<CaptionDialogProps, 'dataset'>) {
  const runs = useCaptionRuns(dataset);
  if (runs.length === 0) return null;
  return (
    <details className="text-sm">
      <summary className="touch cursor-pointer">{countOf(runs.length, 'run')} until now</summary>
      <ul aria-label="Runs" className="mt-2 flex max-h-40 flex-col gap-1 overflow-y-auto">
        {runs.map(({ id, started_at: startedAt, model, preset, counts }) => (
          <li key={id} className="wrap-anywhere">
            <RelativeTime time={startedAt} />: {model}, {preset ?? 'own prompt'}: {runCountsText(counts)}
          </li>
        ))}
      </ul>
    </details>
  );
}

interface EndpointFieldProps {
  readonly endpoints: readonly CaptionEndpoint[];
  readonly endpoint: CaptionEndpoint;
  readonly onChange: (name: string) => void;
}

/** The model, whether it can be used, and a test of it. */
function EndpointField({ endpoints, endpoint, onChange }: EndpointFieldProps) {
  const client = useClient();
  const { mutate, variables, data, error, isPending } = useMutation({
    mutationFn: (name: string) => client.captioning.test(name),
  });
  const isShown = variables === endpoint.name;
  const isTesting = isShown && isPending;
  return (
    <Labelled label="Model">
      {(id) => (
        <>
          <div className="flex gap-2">
            <select id={id} value={endpoint.name} onChange={({ target }) => onChange(target.value)} className={FIELD}>
              {endpoints.map(({ name, model }) => (
                <option key={name} value={name}>
                  {name}
                  {model === null ? '' : `: ${model}`}
                </option>
              ))}
            </select>
            <WriteButton disabled={isTesting} onClick={() => mutate(endpoint.name)}>
              {isTesting ? 'Testing …' : 'Test'}
            </WriteButton>
          </div>
          {endpoint.error !== null && <p className="text-sm wrap-anywhere text-bad">{endpoint.error}</p>}
          {endpoint.vision === false && <p className="text-sm text-bad">Its server says that it can't see pictures.</p>}
          <p role="status" className="text-sm wrap-anywhere empty:hidden">
            {isShown && error !== null && messageOf(error)}
            {isShown && data !== undefined && testText(data)}
          </p>
        </>
      )}
    </Labelled>
  );
}

function testText({ ok, text, message, seconds }: CaptionTest): string {
  const wrote = text === null ? '' : `It wrote of a red square: “${text}”`;
  return [wrote, message ?? '', ok ? `(${seconds.toFixed(1)} s)` : ''].filter(Boolean).join(' ');
}

/** In place of the name of a preset. */
const OWN_PROMPT = '(own)';

const QUERY = ['caption-presets'];
const BUILTIN = Object.entries(BUILTIN_PROMPTS).map(([name, prompt]) => ({ name, prompt, builtin: true }));

const PRESET_WORDS: Readonly<Record<string, string>> = {
  tags: 'Tags',
  sentence: 'One sentence',
  paragraph: 'A detailed paragraph',
  clip: 'A clip: action first',
};

/** The prompts of the account, and the one of this name. */
function usePrompts(name: string): { presets: readonly CaptionPreset[]; preset: CaptionPreset } {
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
function PromptField({ prompts, preset, kept, onChange }: PromptFieldProps) {
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
      <Alert>{failure}</Alert>
    </div>
  );
}

/** The options of the last run that this browser started. */
const KEY = 'trainyard-caption-options';

/** As they are typed. */
const DEFAULTS = {
  endpoint: '',
  preset: 'sentence',
  prompt: '',
  trigger: '',
  leaveOut: '',
  maxTokens: '400',
  frames: '8',
};

type CaptionOptions = typeof DEFAULTS;
