import { MAX_LISTED } from '../../api/limits.js';
import type { WireCaptionRun, WireProposal, WireStartedRun } from '../../api/caption-schemas.js';
import { outcomeWords } from '../../dataset/captioning/outcomes.js';
import { withTrigger } from '../../dataset/captioning/clean.js';
import type { CaptioningService } from '../../service/captioning/captioning-service.js';
import type { CaptionRunView, OpenProposal, Proposal } from '../../storage/catalog/captioning.js';
import { closedSignal } from '../connections.js';
import type { Handlers } from '../register-routes.js';
import { authorOf, etagOf, expectedConditionOf, timeOf, timeOrNull } from '../wire.js';

export function captioningHandlers(captioning: CaptioningService) {
  return {
    'caption-endpoint.list': async ({ reply }) => ({ endpoints: await captioning.endpoints(closedSignal(reply)) }),
    'caption-endpoint.test': async ({ params, accountId, reply }) => {
      const startedAt = performance.now();
      const tested = await captioning.test(params.endpoint, { accountId, signal: closedSignal(reply) });
      return { ...tested, seconds: Math.round(performance.now() - startedAt) / 1000 };
    },
    'caption-preset.list': async ({ accountId }) => ({ presets: await captioning.presets(accountId) }),
    'caption-preset.save': ({ params, body, accountId }) =>
      captioning.savePreset(accountId, params.preset, body.prompt),
    'caption-preset.delete': async ({ params: { preset: name }, accountId }) => {
      await captioning.removePreset(accountId, name);
      return { name, deleted: true };
    },
    'caption-run.plan': async ({ key, body }) => startedToWire(undefined, (await captioning.plan(key, body)).counts),
    'caption-run.start': async ({ key, body, request, reply }) => {
      const options = { author: authorOf(request, 'caption'), signal: closedSignal(reply) };
      const { run, counts } = await captioning.start(key, body, options);
      request.audited = run === undefined ? { dry_run: true } : { run: run.id, endpoint: run.endpoint };
      return startedToWire(run, counts);
    },
    'caption-run.list': async ({ key }) => ({ runs: (await captioning.list(key)).map(captionRunToWire) }),
    'caption-run.read': async ({ key, params }) => {
      const run = await captioning.run(key, params.run_id);
      const problems = await captioning.problems(run, MAX_LISTED);
      return { ...captionRunToWire(run), problems: problems.map(runProblemToWire) };
    },
    'caption-run.stop': async ({ key, params }) => captionRunToWire(await captioning.stop(key, params.run_id)),
    'caption-run.resume': async ({ key, params }) => captionRunToWire(await captioning.resume(key, params.run_id)),
    'proposal.list': async ({ key, query: { texts, after, limit } }) => {
      const { proposals, isLast, total } = await captioning.proposals(key, { after: after?.normalize('NFC'), limit });
      const wire = proposals.map((proposal) => proposalToWire(proposal, { hasText: texts !== 'false' }));
      return { proposals: wire, next_after: isLast ? null : (proposals.at(-1)?.caption ?? null), total };
    },
    'proposal.decide': async ({ key, body, request, reply }) => {
      const accept = body.accept.map(({ id, text, ifMatch }, i) => ({
        ...{ id, text },
        ...(ifMatch !== undefined && { condition: expectedConditionOf(ifMatch, `accept.${i}.ifMatch`) }),
      }));
      const options = { author: authorOf(request, 'edit'), signal: closedSignal(reply) };
      return captioning.decide(key, { accept, dismiss: body.dismiss }, options);
    },
  } satisfies Partial<Handlers>;
}

export function captionRunToWire(run: CaptionRunView): WireCaptionRun {
  const { waiting = 0, ready = 0, applied = 0, proposed = 0, failed = 0, gone = 0 } = run.counts;
  const { accepted = 0, dismissed = 0, replaced = 0 } = run.counts;
  const counts = { waiting, ready, applied, proposed, decided: accepted + dismissed + replaced, failed, gone };
  return {
    ...{ id: run.id, dataset_id: run.dataset_id, state: run.state, reason: run.reason, endpoint: run.endpoint },
    ...{ model: run.model, preset: run.preset, prompt: run.prompt },
    started_at: timeOf(run.started_at),
    ended_at: timeOrNull(run.ended_at),
    busy_until: timeOrNull(run.busy_until),
    total: Object.values(counts).reduce((sum, count) => sum + count, 0),
    ...{ counts, revision: run.revision },
  };
}

function startedToWire(run: CaptionRunView | undefined, counts: WireStartedRun['counts']): WireStartedRun {
  return { run: run === undefined ? null : captionRunToWire(run), counts, summary: summaryOf(counts) };
}

/** `12 without a caption, 30 written by a model, 8 by you: your 8 stay.` */
function summaryOf({ without_caption, by_model, by_person: byPerson, others }: WireStartedRun['counts']): string {
  const counts = { 'without a caption': without_caption, 'written by a model': by_model, 'by you': byPerson };
  const shown = Object.entries(counts).filter(([, files]) => files > 0);
  const text = (files: number) => files.toLocaleString('en');
  if (shown.length === 0) return 'There is no picture to caption.';
  const stays = byPerson > 0 ? `: your ${text(byPerson)} ${byPerson === 1 ? 'stays' : 'stay'}` : '';
  const proposed = by_model + byPerson > 0 ? ' What a model writes for a captioned one is a proposal.' : '';
  const left = others > 0 ? ` ${text(others)} left out: damaged, missing, or another of the same name.` : '';
  return `${shown.map(([words, files]) => `${text(files)} ${words}`).join(', ')}${stays}.${proposed}${left}`;
}

function runProblemToWire({ filename, outcome, message }: Proposal) {
  return { filename, outcome: outcome ?? 'empty', message: outcomeWords(outcome ?? 'empty', message) };
}

function proposalToWire(proposal: OpenProposal, { hasText }: { hasText: boolean }): WireProposal {
  const { id, run_id: run, filename, caption, answer, base, current, options, model, preset } = proposal;
  const tagOf = (sha256: string | null) => (sha256 === null ? null : etagOf({ sha256 }));
  return {
    ...{ id, run, filename, caption },
    ...(hasText && { text: withTrigger(answer ?? '', options.trigger) }),
    ...{ base_etag: tagOf(base), current_etag: tagOf(current), outdated: base !== current },
    ...{ cut_off: proposal.outcome === 'cut_off', model, preset },
  };
}
