import { z } from 'zod';
import { CAPTION_OUTCOMES, type CaptionOutcome } from '../dataset/captioning/outcomes.js';
import { MAX_BATCH_FILES, MAX_NAMES_PER_REQUEST, MAX_PROMPT_LENGTH } from './limits.js';
import { fromDigits, trueOrFalse } from './request-schemas.js';
import { wireEtag, wireProblem, wireRevisionNumber } from './schemas.js';
import { flag, rawName, storedText, text, wireCount as count, wireTime, wordOf } from './values.js';

/* The schemas of captions by a model. All of it is trainyard's own. */

const textOrNull = (description: string) => z.string().nullable().describe(description);
const outcome = wordOf(Object.keys(CAPTION_OUTCOMES) as CaptionOutcome[]);

export const wireCaptionEndpoint = z
  .object({
    name: z.string(),
    model: textOrNull('Null if the operator names none, and the server lists none or several.'),
    reachable: flag('Whether its server answers now.'),
    vision: z.boolean().nullable().describe('Whether the model sees pictures; null if the server does not say.'),
    error: textOrNull('Why it is not reachable or has no model.'),
  })
  .meta({ id: 'CaptionEndpoint' });
export const wireCaptionEndpoints = z.object({ endpoints: z.array(wireCaptionEndpoint) });

export const wireCaptionTest = z
  .object({
    ok: flag('Whether the model described the test picture, a red square.'),
    text: textOrNull('What the model wrote.'),
    outcome: outcome.nullable().describe('What went wrong.'),
    message: textOrNull('The words of the server, and what to do.'),
    seconds: z.number().min(0),
  })
  .meta({ id: 'CaptionTest' });

const prompt = storedText(MAX_PROMPT_LENGTH).min(1);
export const wireCaptionPreset = z
  .object({
    name: z.string(),
    prompt: text('With the variables {caption}, {tags}, {name} and {trigger}.'),
    builtin: flag('True for tags, sentence, paragraph and clip, which every account has.'),
  })
  .meta({ id: 'CaptionPreset' });
export const wireCaptionPresets = z.object({ presets: z.array(wireCaptionPreset) });
export const captionPresetBody = z.strictObject({ prompt });

const FILES = 'missing: those without a caption. model: those whose caption a model wrote. all: all.';
export const captionRunBody = z.strictObject({
  endpoint: rawName.optional().describe('The first one by default.'),
  preset: rawName.optional().describe('`sentence` by default.'),
  prompt: prompt.optional().describe('Instead of a preset.'),
  files: z.enum(['missing', 'model', 'all']).default('missing').describe(FILES),
  filenames: z.array(rawName).min(1).max(MAX_BATCH_FILES).optional().describe('Of these images and clips only.'),
  trigger: storedText(200).default('').describe('Put in front of each text that does not have it.'),
  leave_out: z.array(storedText(100)).max(50).default([]).describe('What the model is told not to mention.'),
  frames: z.int().min(1).max(32).default(8).describe('Of a clip, evenly spaced.'),
  max_tokens: z.int().min(16).max(32_768).default(400),
  seed: z.int().min(0).max(2_147_483_647).default(1).describe('Another seed asks the same question anew.'),
  dry_run: z.boolean().default(false).describe('True: only counts.'),
});

export const wireCaptionRun = z
  .object({
    id: z.string(),
    dataset_id: z.string(),
    state: wordOf(['running', 'ending', 'done', 'stopped']).describe('ending: its captions are being stored.'),
    reason: textOrNull('Why it stopped by itself, and what to do; null if a person stopped it.'),
    endpoint: z.string(),
    model: z.string(),
    preset: textOrNull('Null for a prompt of its own.'),
    prompt: z.string(),
    started_at: wireTime,
    ended_at: wireTime.nullable(),
    busy_until: wireTime.nullable().describe('The server is busy, or loads the model, and is asked again then.'),
    total: count.describe('Files of the run, the sum of `counts`.'),
    counts: z.object({
      waiting: count.describe('Not answered yet.'),
      ready: count.describe('Captioned; stored when the run ends or is stopped.'),
      applied: count.describe('Stored, since the file had no caption.'),
      proposed: count.describe('Proposals that wait for a decision.'),
      decided: count.describe('Proposals that were accepted, dismissed, or replaced by a later run.'),
      failed: count,
      gone: count.describe('Files that were removed meanwhile.'),
    }),
    revision: z.int().nullable().describe('The last revision with its captions; a resumed run may have several.'),
    problems: z
      .array(z.object({ filename: z.string(), outcome, message: z.string() }))
      .optional()
      .describe('The files that failed or were cut off, at most 1,000; only in the answer about one run.'),
  })
  .meta({ id: 'CaptionRun' });
export const wireCaptionRuns = z.object({
  runs: z.array(wireCaptionRun).describe('The last 20 and all with open proposals, newest first.'),
});

export const wireStartedRun = z
  .object({
    run: wireCaptionRun.nullable().describe('Null for a dry run, and if no file is left.'),
    counts: z.object({
      without_caption: count.describe('A run of them stores their captions directly.'),
      by_model: count.describe('A run of them makes proposals.'),
      by_person: count.describe('Written by a person or imported. A run of them makes proposals.'),
      others: count.describe('Selected and left out: damaged and missing files, and a second one of the same stem.'),
    }),
    summary: text('The counts in a sentence.'),
  })
  .meta({ id: 'StartedCaptionRun' });

export const proposalsQuery = z.object({
  limit: fromDigits(z.int().min(1).max(MAX_BATCH_FILES)).default(100),
  after: rawName.optional().describe('The `next_after` of the page before.'),
  texts: trueOrFalse.describe('`false`: without the texts, for all files at once.'),
});

const wireProposal = z
  .object({
    id: z.string(),
    run: z.string(),
    filename: text('The image or clip.'),
    caption: text('The name of its caption.'),
    text: z.string().optional(),
    base_etag: wireEtag.nullable().describe('The caption when the model was asked; null: there was none.'),
    current_etag: wireEtag.nullable().describe('The caption now.'),
    outdated: flag('The caption was changed since the model was asked.'),
    cut_off: flag('The answer was cut off.'),
    model: z.string(),
    preset: z.string().nullable(),
  })
  .meta({ id: 'CaptionProposal' });
export const wireProposals = z
  .object({
    proposals: z.array(wireProposal).describe('The open ones, one for each caption, by its name.'),
    next_after: z.string().nullable(),
    total: count.describe('All open proposals of the dataset.'),
  })
  .meta({ id: 'CaptionProposals' });

const ids = z.array(rawName).max(MAX_NAMES_PER_REQUEST);
const acceptance = z.strictObject({
  id: rawName,
  text: z.string().optional().describe('Instead of the text of the model; the caption then counts as yours.'),
  ifMatch: wireEtag.nullable().optional().describe('The caption that it replaces, null: none; `base_etag` by default.'),
});
export const decisionsBody = z.strictObject({
  accept: z.array(acceptance).max(MAX_NAMES_PER_REQUEST).default([]),
  dismiss: ids.default([]),
});

export const wireDecisions = z
  .object({
    accepted: z.array(
      z.object({
        id: z.string(),
        outcome: wordOf(['accepted', 'outdated', 'rejected', 'not_open']).describe(
          'outdated: the caption is another by now, and nothing was written. not_open: decided already.',
        ),
        problem: wireProblem.optional(),
      }),
    ),
    dismissed: z.array(z.string()).describe('Those that were open.'),
    revision: wireRevisionNumber,
  })
  .meta({ id: 'CaptionDecisions' });

export type WireCaptionEndpoint = z.infer<typeof wireCaptionEndpoint>;
export type WireCaptionPreset = z.infer<typeof wireCaptionPreset>;
export type WireCaptionTest = z.infer<typeof wireCaptionTest>;
export type WireCaptionRun = z.infer<typeof wireCaptionRun>;
export type WireStartedRun = z.infer<typeof wireStartedRun>;
export type WireProposal = z.infer<typeof wireProposal>;
export type WireDecisions = z.infer<typeof wireDecisions>;
