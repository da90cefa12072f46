/*
 * `npm run fuzz [-- --requests N --sequences N --histories N --seed N]`: sends random requests to a server of its own and compares
 * each answer with the OpenAPI document; then changes datasets in random order and compares them with a model; then does so with
 * three clients, and compares the history. Needs a build.
 */
import { parseArgs } from 'node:util';
import { fuzzRequests, sendOne } from './fuzz-requests.js';
import { fuzzSequences, runSequence } from './fuzz-sequences.js';
import { fuzzHistories, runHistory } from './history/fuzz-histories.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    requests: { type: 'string' },
    sequences: { type: 'string' },
    histories: { type: 'string' },
    path: { type: 'string' },
    request: { type: 'string' },
    steps: { type: 'string' },
    history: { type: 'string' },
  },
});

/** Without any of the numbers, all kinds run. */
const isDefault = [values.requests, values.sequences, values.histories].every((count) => count === undefined);
const requests = Number(values.requests ?? (isDefault ? 20_000 : 0));
const sequences = Number(values.sequences ?? (isDefault ? 500 : 0));
const histories = Number(values.histories ?? (isDefault ? 100 : 0));

async function fuzz(): Promise<string[]> {
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  const options = { seed, ...(values.path !== undefined && { path: values.path }) };
  console.log(`seed ${seed}`);
  const failures: (string | undefined)[] = [];
  if (requests > 0) {
    const started = performance.now();
    const { failure, sent, answers } = await fuzzRequests({ ...options, requests });
    for (const [answer, count] of [...answers].sort()) console.log(`${String(count).padStart(7)}  ${answer}`);
    console.log(`${sent} answers in ${secondsSince(started)} s`);
    failures.push(failure);
  }
  if (sequences > 0) {
    const started = performance.now();
    failures.push(await fuzzSequences({ ...options, sequences }));
    console.log(`${sequences} sequences in ${secondsSince(started)} s`);
  }
  if (histories > 0) {
    const started = performance.now();
    failures.push(await fuzzHistories({ ...options, sequences: histories, isShrunk: true }));
    console.log(`${histories} histories in ${secondsSince(started)} s`);
  }
  return failures.filter((failure) => failure !== undefined);
}

function secondsSince(started: number): string {
  return ((performance.now() - started) / 1000).toFixed(0);
}

if (values.request !== undefined) console.log(await sendOne(values.request));
else if (values.steps !== undefined) await runSequence(values.steps);
else if (values.history !== undefined) await runHistory(values.history);
else {
  const failures = await fuzz();
  for (const failure of failures) console.error(failure);
  process.exitCode = failures.length > 0 ? 1 : 0;
}
